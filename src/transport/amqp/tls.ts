import { readFileSync } from 'node:fs';
import type { SocketOptions } from 'amqplib';
import { ImproperlyConfigured } from '../../core/errors.ts';
import { didYouMean } from '../../core/nearest.ts';

/** Options of Node's own `tls.connect` that are handed on as they are. */
const NODE_OPTIONS = [
  'ca',
  'cert',
  'key',
  'pfx',
  'passphrase',
  'rejectUnauthorized',
  'servername',
  'minVersion',
  'maxVersion',
  'ciphers',
] as const;

/** Python's names, as in the documentation of `broker_use_ssl`. */
const PYTHON_OPTIONS = [
  'ca_certs',
  'certfile',
  'keyfile',
  'cert_reqs',
  'server_hostname',
  'check_hostname',
] as const;

/**
 * The TLS parameters of a `broker_use_ssl` setting. The server's certificate is verified unless `cert_reqs` says otherwise.
 *
 * @throws {@link ImproperlyConfigured} for an unknown parameter or a file that cannot be read
 */
export function tlsOptions(useSsl: boolean | Readonly<Record<string, unknown>>): SocketOptions {
  if (typeof useSsl === 'boolean') return {};
  const known: readonly string[] = [...NODE_OPTIONS, ...PYTHON_OPTIONS];
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(useSsl)) {
    if (!known.includes(name)) {
      throw new ImproperlyConfigured(
        `broker_use_ssl: unknown parameter ${name}.${didYouMean(name, known)} It takes ${known.join(', ')}.`,
      );
    }
    if (value !== null && value !== undefined) Object.assign(options, tlsOption(name, value));
  }
  return options;
}

function tlsOption(name: string, value: unknown): Record<string, unknown> {
  switch (name) {
    case 'ca_certs':
      return { ca: readPem(name, value) };
    case 'certfile':
      return { cert: readPem(name, value) };
    case 'keyfile':
      return { key: readPem(name, value) };
    case 'cert_reqs':
      return { rejectUnauthorized: certificateRequired(value) };
    case 'server_hostname':
      return { servername: value };
    case 'check_hostname':
      return value === false ? { checkServerIdentity: () => undefined } : {};
    default:
      return { [name]: value };
  }
}

function readPem(name: string, path: unknown): Buffer {
  try {
    return readFileSync(String(path));
  } catch (error) {
    throw new ImproperlyConfigured(`broker_use_ssl: cannot read ${name} ${String(path)}`, { cause: error });
  }
}

/** `ssl.CERT_NONE`, `CERT_OPTIONAL`, `CERT_REQUIRED` or their numbers 0, 1, 2. */
function certificateRequired(value: unknown): boolean {
  const name = String(value)
    .replace(/^ssl\./, '')
    .replace(/^CERT_/, '')
    .toUpperCase();
  if (['NONE', '0'].includes(name)) return false;
  if (['OPTIONAL', 'REQUIRED', '1', '2'].includes(name)) return true;
  throw new ImproperlyConfigured(
    `broker_use_ssl: cert_reqs takes CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED, not ${String(value)}`,
  );
}
