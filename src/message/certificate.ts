import { type KeyObject, X509Certificate } from 'node:crypto';

import { SecurityError } from '../core/errors.ts';
import { issuerValues } from './issuer.ts';

/** Somebody whose messages are read: the public key, and the name that signed messages give it. */
export class Certificate {
  /** The values of the issuer's name and the serial number, as Celery spells them: `Example CA 4711`. */
  readonly id: string;
  readonly publicKey: KeyObject;
  /** Bytes of a signature. */
  readonly signatureLength: number;
  readonly #expiresMs: number;

  /** @throws {SecurityError} when it is no certificate in PEM, or its key is not RSA */
  constructor(pem: Buffer, path: string) {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(pem);
    } catch (cause) {
      throw new SecurityError(`Invalid certificate: ${path} is not an X.509 certificate in PEM`, { cause });
    }
    const { publicKey } = certificate;
    const bits = publicKey.asymmetricKeyDetails?.modulusLength;
    if (publicKey.asymmetricKeyType !== 'rsa' || bits === undefined) {
      throw new SecurityError(
        `Invalid certificate: the key of ${path} is not RSA, which signed messages need`,
      );
    }
    this.id = [...issuerValues(certificate.raw), BigInt(`0x${certificate.serialNumber}`)].join(' ');
    this.publicKey = publicKey;
    this.signatureLength = bits >> 3;
    this.#expiresMs = Date.parse(certificate.validTo);
  }

  /** @throws {SecurityError} when its time is over */
  checkTime(): void {
    if (Date.now() >= this.#expiresMs) {
      throw new SecurityError(
        `Expired certificate: '${this.id}' ended at ${new Date(this.#expiresMs).toISOString()}`,
      );
    }
  }
}
