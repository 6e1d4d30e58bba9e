import { deflateSync, unzipSync } from 'node:zlib';

import { DecodeError, EncodeError } from '../core/errors.ts';

// Celery's gzip and zlib are one and the same: a zlib stream under gzip's content type.
const ZLIB_TYPE = 'application/x-gzip';
const ZLIB_NAMES: ReadonlySet<string> = new Set(['zlib', 'gzip', ZLIB_TYPE]);

/** A compressed body and what its `compression` header says. */
export interface CompressedBody {
  readonly bytes: Buffer;
  readonly compression: string;
}

/**
 * @param name as in the `compression` option: `zlib` or `gzip`
 * @throws {EncodeError} for another name
 */
export function compress(bytes: Buffer, name: string): CompressedBody {
  if (!ZLIB_NAMES.has(name)) {
    throw new EncodeError(`compression '${name}' is not available; there are: zlib, gzip`);
  }
  return { bytes: deflateSync(bytes), compression: ZLIB_TYPE };
}

/**
 * @param compression the `compression` header
 * @param maxBytes how large the result may be
 * @throws {DecodeError} for another compression, damaged bytes, or more than `maxBytes`
 */
export function decompress(bytes: Buffer, compression: string, maxBytes: number): Buffer {
  if (!ZLIB_NAMES.has(compression)) {
    throw new DecodeError(
      `cannot decompress a body compressed as ${compression.slice(0, 64)}; there are: ${ZLIB_TYPE}`,
    );
  }
  try {
    // Takes real gzip files as well.
    return unzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new DecodeError(`a body of ${bytes.length} compressed bytes inflates to more than ${maxBytes}`, {
        cause: error,
      });
    }
    throw new DecodeError('cannot decompress the body: the zlib stream is damaged', { cause: error });
  }
}
