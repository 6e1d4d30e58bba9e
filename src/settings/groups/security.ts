import { kind, nullable, oneOf, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Signed messages. */
export interface SecuritySettings {
  /**
   * Path of PEM certificate used when signing.
   *
   * @defaultValue `null`
   */
  security_certificate: string | null;
  /**
   * Glob/path of trusted certificates.
   *
   * @defaultValue `null`
   */
  security_cert_store: string | null;
  /**
   * Path of private key used when signing.
   *
   * @defaultValue `null`
   */
  security_key: string | null;
  /**
   * Password of that key.
   *
   * @defaultValue `null`
   */
  security_key_password: string | Uint8Array | null;
  /**
   * Digest algorithm for signatures.
   *
   * @defaultValue `'sha256'`
   */
  security_digest: string;
}

export const securityTable: Table<SecuritySettings> = {
  security_certificate: {
    kind: nullable(text),
    default: null,
    oldName: 'CELERY_SECURITY_CERTIFICATE',
  },
  security_cert_store: {
    kind: nullable(text),
    default: null,
    oldName: 'CELERY_SECURITY_CERT_STORE',
  },
  security_key: { kind: nullable(text), default: null, oldName: 'CELERY_SECURITY_KEY' },
  security_key_password: {
    kind: nullable(
      oneOf<[string, Uint8Array]>(
        text,
        kind('bytes', (value) => value instanceof Uint8Array),
      ),
    ),
    default: null,
    oldName: 'CELERY_SECURITY_KEY_PASSWORD',
    since: '5.3',
  },
  security_digest: { kind: text, default: 'sha256', oldName: 'CELERY_SECURITY_DIGEST' },
};
