import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { ImproperlyConfigured } from './errors.ts';
import { didYouMean } from './nearest.ts';

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

/** What `tls.connect` and the clients of servers take. */
export type TlsParameters = Pick<ConnectionOptions, (typeof NODE_OPTIONS)[number] | 'checkServerIdentity'>;

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
 * The TLS parameters of a `…_use_ssl` setting: by Node's names, or by Python's, which may begin with `ssl_`. The server's
 * certificate is verified unless `cert_reqs` says otherwise.
 *
 * @param setting the setting's name, for messages
 * @throws {@link ImproperlyConfigured} for an unknown parameter or a file that cannot be read
 */
export function tlsOptions(
  useSsl: boolean | Readonly<Record<string, unknown>>,
  setting = 'broker_use_ssl',
): TlsParameters {
  if (typeof useSsl === 'boolean') return {};
  const known: readonly string[] = [...NODE_OPTIONS, ...PYTHON_OPTIONS];
  const options: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(useSsl)) {
    const name = given.replace(/^ssl_/, '');
    if (!known.includes(name)) {
      throw new ImproperlyConfigured(
        `${setting}: unknown parameter ${given}.${didYouMean(name, known)} It takes ${known.join(', ')}.`,
      );
    }
    if (value !== null && value !== undefined) Object.assign(options, tlsOption(name, value, setting));
  }
  return options;
}

function tlsOption(name: string, value: unknown, setting: string): TlsParameters {
  switch (name) {
    case 'ca_certs':
      return { ca: readPem(name, value, setting) };
    case 'certfile':
      return { cert: readPem(name, value, setting) };
    case 'keyfile':
      return { key: readPem(name, value, setting) };
    case 'cert_reqs':
      return { rejectUnauthorized: certificateRequired(value, setting) };
    case 'server_hostname':
      return { servername: String(value) };
    case 'check_hostname':
      return isFalse(value) ? { checkServerIdentity: () => undefined } : {};
    default:
      return { [name]: value };
  }
}

/** In the query of a URL it is a text. */
function isFalse(value: unknown): boolean {
  return value === false || ['false', '0', 'no'].includes(String(value).toLowerCase());
}

function readPem(name: string, path: unknown, setting: string): Buffer {
  try {
    return readFileSync(String(path));
  } catch (error) {
    throw new ImproperlyConfigured(`${setting}: cannot read ${name} ${String(path)}`, { cause: error });
  }
}

/** `ssl.CERT_NONE`, `CERT_OPTIONAL`, `CERT_REQUIRED` or their numbers 0, 1, 2. */
function certificateRequired(value: unknown, setting: string): boolean {
  const name = String(value)
    .toUpperCase()
    .replace(/^SSL\./, '')
    .replace(/^CERT_/, '');
  if (['NONE', '0'].includes(name)) return false;
  if (['OPTIONAL', 'REQUIRED', '1', '2'].includes(name)) return true;
  throw new ImproperlyConfigured(
    `${setting}: cert_reqs takes CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED, not ${String(value)}`,
  );
}
