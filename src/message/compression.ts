import { brotliCompressSync, brotliDecompressSync, constants, deflateSync, unzipSync } from 'node:zlib';

import { DecodeError, EncodeError } from '../core/errors.ts';
import { readBzip2 } from './bzip2-read.ts';
import { writeBzip2 } from './bzip2-write.ts';
import { readZstd, writeZstd } from './zstd.ts';

/** A compressed body and what its `compression` header says. */
export interface CompressedBody {
  readonly bytes: Buffer;
  readonly compression: string;
}

interface Method {
  /** Names in the `compression` option, the usual one first. */
  readonly names: readonly [string, ...string[]];
  readonly compress: (bytes: Buffer) => Buffer;
  /** Stops as soon as there are more than `maxBytes`. */
  readonly decompress: (bytes: Buffer, maxBytes: number) => Buffer;
}

/** By the `compression` header. */
const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  [
    // Celery's gzip and zlib are one and the same: a zlib stream under gzip's content type. Real gzip files are read as well.
    'application/x-gzip',
    {
      names: ['zlib', 'gzip'],
      compress: (bytes) => deflateSync(bytes),
      decompress: (bytes, maxOutputLength) => unzipSync(bytes, { maxOutputLength }),
    },
  ],
  ['application/x-bz2', { names: ['bzip2', 'bzip'], compress: writeBzip2, decompress: readBzip2 }],
  [
    'application/x-brotli',
    {
      names: ['brotli'],
      // The default is the slowest: seconds for a megabyte.
      compress: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
      decompress: (bytes, maxOutputLength) => brotliDecompressSync(bytes, { maxOutputLength }),
    },
  ],
  ['application/zstd', { names: ['zstd', 'zstandard'], compress: writeZstd, decompress: readZstd }],
]);

const byName = new Map(
  [...METHODS].flatMap(([type, method]) =>
    [type, ...method.names].map((name) => [name, { type, method }] as const),
  ),
);

/** Names of all methods, for error messages. */
const NAMES = [...METHODS.values()].flatMap(({ names }) => names).join(', ');

/**
 * @param name as in the `compression` option: `zlib`, `gzip`, `bzip2`, `brotli`, `zstd`
 * @throws {EncodeError} for another name, and for `zstd` where Node has none (before 22.15)
 */
export function compress(bytes: Buffer, name: string): CompressedBody {
  const found = byName.get(name);
  if (found === undefined) {
    throw new EncodeError(`compression '${name}' is not available; there are: ${NAMES}`);
  }
  return { bytes: found.method.compress(bytes), compression: found.type };
}

/**
 * @param compression the `compression` header
 * @param maxBytes how large the result may be; looked at while it grows
 * @throws {DecodeError} for another compression, damaged bytes, or more than `maxBytes`
 */
export function decompress(bytes: Buffer, compression: string, maxBytes: number): Buffer {
  const found = byName.get(compression);
  if (found === undefined) {
    throw new DecodeError(
      `cannot decompress a body compressed as ${compression.slice(0, 64)}; there are: ${[...METHODS.keys()].join(', ')}`,
    );
  }
  try {
    return found.method.decompress(bytes, maxBytes);
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    if (isTooLarge(error)) {
      throw new DecodeError(`a body of ${bytes.length} compressed bytes inflates to more than ${maxBytes}`, {
        cause: error,
      });
    }
    const [name] = found.method.names;
    throw new DecodeError(`cannot decompress the body: the ${name} stream is damaged`, { cause: error });
  }
}

function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
}
