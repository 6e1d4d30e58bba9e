import { createPrivateKey, getHashes, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { ImproperlyConfigured, SecurityError } from '../core/errors.ts';
import { Certificate } from '../message/certificate.ts';
import { registerSerializer, serializerByName } from '../message/registry.ts';
import { type Signing, signingSerializer } from '../message/signing.ts';
import type { ResolvedSettings } from '../settings/settings.ts';

/** What `setupSecurity` takes in place of the settings `security_*`. */
export interface SecurityOptions {
  /** Path of the private key that signs, in PEM. */
  readonly key?: string;
  /** Password of that key. */
  readonly keyPassword?: string | Uint8Array;
  /** Path of the certificate of that key, in PEM. */
  readonly cert?: string;
  /** Path of the trusted certificates: a folder, a file, or a pattern such as `/etc/certs/*.pem`. */
  readonly store?: string;
  /** Digest of the signatures. Default `sha256`. */
  readonly digest?: string;
  /** What the signed bytes are made with: `json` or `yaml`. Default `json`. */
  readonly serializer?: string;
}

/**
 * Registers the serializer `auth`. The files are read with its first use.
 * @returns reads them now, and throws what is wrong with them
 */
export function setupSecurity(settings: () => ResolvedSettings, options: SecurityOptions): () => void {
  let signing: Signing | undefined;
  const load = (): Signing => (signing ??= loadSigning(settings(), options));
  registerSerializer(signingSerializer(load, ['json', 'yaml', 'msgpack'].map(serializerByName)));
  return load;
}

function loadSigning(settings: ResolvedSettings, options: SecurityOptions): Signing {
  if (settings.task_serializer !== 'auth' || settings.accept_content.join() !== 'auth') {
    throw new ImproperlyConfigured(
      "setupSecurity() signs and checks messages only with task_serializer = 'auth' and accept_content = ['auth']",
    );
  }
  const key = options.key ?? settings.security_key;
  const cert = options.cert ?? settings.security_certificate;
  const store = options.store ?? settings.security_cert_store;
  if (!key || !cert || !store) {
    throw new ImproperlyConfigured(
      'setupSecurity() needs security_key, security_certificate and security_cert_store: paths of the private key, of its ' +
        'certificate, and of the certificates that are trusted',
    );
  }
  return {
    key: readKey(key, options.keyPassword ?? settings.security_key_password),
    certificate: readCertificate(cert),
    trusted: readStore(store),
    digest: digestOf(options.digest ?? settings.security_digest),
    inner: innerOf(options.serializer ?? 'json'),
  };
}

function readKey(path: string, password: string | Uint8Array | null): KeyObject {
  const pem = read(path, 'private key');
  try {
    const key = createPrivateKey({
      key: pem,
      ...(password !== null && { passphrase: Buffer.from(password) }),
    });
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SecurityError(`Invalid private key: ${path}: ${why}`, { cause });
  }
  throw new SecurityError(`Invalid private key: ${path} is not RSA, which signed messages need`);
}

function readCertificate(path: string): Certificate {
  return new Certificate(read(path, 'certificate'), path);
}

/** @throws {SecurityError} when one of them has expired, or two have one name */
function readStore(store: string): ReadonlyMap<string, Certificate> {
  const trusted = new Map<string, Certificate>();
  for (const path of pathsOf(store)) {
    const certificate = readCertificate(path);
    certificate.checkTime();
    if (trusted.has(certificate.id)) throw new SecurityError(`Duplicate certificate: '${certificate.id}'`);
    trusted.set(certificate.id, certificate);
  }
  if (trusted.size > 0) return trusted;
  throw new ImproperlyConfigured(`security_cert_store: there is no certificate at ${store}`);
}

function pathsOf(store: string): string[] {
  const isFolder = statSync(store, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? store : dirname(store);
  const pattern = isFolder ? '*' : basename(store);
  if (!/[*?]/.test(pattern)) return [store];
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const matching = new RegExp(`^${text}$`);
  const names = readdirSync(folder).filter((name) => matching.test(name) && !name.startsWith('.'));
  return names.sort().map((name) => join(folder, name));
}

/** Python's name of a digest: `sha256`, `sha3_256`. */
function digestOf(name: string): string {
  const digest = name.toLowerCase().replaceAll('_', '-');
  if (getHashes().includes(digest)) return digest;
  throw new ImproperlyConfigured(`security_digest: there is no digest '${name}'; use sha256 or sha512`);
}

function innerOf(name: string): Signing['inner'] {
  // Python takes what was signed for text.
  if (name === 'json' || name === 'json-plain' || name === 'yaml') return serializerByName(name);
  throw new ImproperlyConfigured(`setupSecurity() signs json or yaml, not '${name}'`);
}

function read(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ImproperlyConfigured(`The ${what} cannot be read: ${why}`, { cause });
  }
}
