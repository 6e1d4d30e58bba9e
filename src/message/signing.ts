import { constants, type KeyObject, sign, verify } from 'node:crypto';

import { SecurityError } from '../core/errors.ts';
import type { Certificate } from './certificate.ts';
import { jsonSerializer } from './json.ts';
import type { Serializer, Wrapping } from './serializer.ts';

/** Who signs here, and whose signatures are believed. */
export interface Signing {
  readonly key: KeyObject;
  /** Belongs to the key. */
  readonly certificate: Certificate;
  /** Those who may send, by their `id`. */
  readonly trusted: ReadonlyMap<string, Certificate>;
  /** As `node:crypto` names it: `sha256`. */
  readonly digest: string;
  /** What the signed bytes are made with. */
  readonly inner: Serializer;
}

/**
 * Celery's `auth`: the bytes of another serializer with the name of who signed them and an RSA-PSS signature, in base64.
 * @param signing asked with the first message; it is the same for all
 * @param serializers those that what was signed may be read with
 */
export function signingSerializer(signing: () => Signing, serializers: readonly Serializer[]): Serializer {
  const wrapping: Wrapping = {
    get inner() {
      return signing().inner;
    },
    wrap: (bytes) => signed(bytes, signing()),
    unwrap: (body) => verified(body, signing(), serializers),
  };
  return {
    name: 'auth',
    contentType: 'application/data',
    contentEncoding: 'utf-8',
    encode: (value) => wrapping.wrap(wrapping.inner.encode(value)),
    decode: (body) => {
      const { serializer, bytes } = wrapping.unwrap(body);
      return serializer.decode(bytes);
    },
    parse: (body) => {
      const { serializer, bytes } = wrapping.unwrap(body);
      return serializer.parse(bytes);
    },
    // The extras of JSON occur in no other form.
    revive: (value) => jsonSerializer.revive(value),
    wrapping,
  };
}

const SEPARATOR = Buffer.from([0, 1]);

const PADDING = {
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN,
};

function signed(bytes: Buffer, { key, certificate, digest, inner }: Signing): Buffer {
  const signature = sign(digest, bytes, { key, ...PADDING });
  const fields = [certificate.id, signature, inner.contentType, inner.contentEncoding, bytes];
  const parts = fields.flatMap((field) => [
    SEPARATOR,
    typeof field === 'string' ? Buffer.from(field) : field,
  ]);
  return Buffer.from(Buffer.concat(parts.slice(1)).toString('base64'));
}

function verified(
  body: Buffer,
  { trusted, digest }: Signing,
  serializers: readonly Serializer[],
): { serializer: Serializer; bytes: Buffer } {
  const payload = Buffer.from(body.toString('latin1'), 'base64');
  const signer = cut(payload, 0);
  const certificate = trusted.get(signer.field.toString('utf8'));
  if (certificate === undefined) {
    throw new SecurityError(
      `Unknown certificate: '${signer.field.toString('utf8').slice(0, 200)}' is not in security_cert_store`,
    );
  }
  certificate.checkTime();
  const signatureEnd = signer.end + certificate.signatureLength;
  const signature = payload.subarray(signer.end, signatureEnd);
  const type = cut(payload, signatureEnd + SEPARATOR.length);
  const encoding = cut(payload, type.end);
  const bytes = payload.subarray(encoding.end);
  if (!verify(digest, bytes, { key: certificate.publicKey, ...PADDING }, signature)) {
    throw new SecurityError(`Bad signature: the message is not what '${certificate.id}' signed`);
  }
  // The type itself is not signed: it only chooses among those that do no harm.
  const contentType = type.field.toString('latin1');
  const serializer = serializers.find((each) => each.contentType === contentType);
  if (serializer !== undefined) return { serializer, bytes };
  throw new SecurityError(
    `What was signed is of type ${contentType.slice(0, 64)}; there are: ` +
      serializers.map((each) => each.contentType).join(', '),
  );
}

function cut(payload: Buffer, start: number): { readonly field: Buffer; readonly end: number } {
  const at = payload.indexOf(SEPARATOR, start);
  if (at === -1)
    throw new SecurityError('The message is not signed: it has not the form of the serializer auth');
  return { field: payload.subarray(start, at), end: at + SEPARATOR.length };
}
