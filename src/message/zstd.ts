import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import type * as Fzstd from 'fzstd';

import { DecodeError, EncodeError } from '../core/errors.ts';
import { TooLargeError } from './inflated.ts';

/** What `node:zlib` has from Node 22.15 on; its types here are those of Node 20. */
interface ZstdOfNode {
  readonly zstdCompressSync?: (bytes: Buffer, options: { pledgedSrcSize: number }) => Buffer;
  readonly zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;
}

const node: ZstdOfNode & typeof zlib = zlib;

/** @throws {EncodeError} before Node 22.15, which has no zstd */
export function writeZstd(bytes: Buffer): Buffer {
  if (node.zstdCompressSync === undefined) {
    throw new EncodeError(
      `compression 'zstd' needs Node 22.15 to write (this is ${process.version}, which only reads it); ` +
        'use zlib, bzip2 or brotli',
    );
  }
  // Python's reader needs the size in the frame's header.
  return node.zstdCompressSync(bytes, { pledgedSrcSize: bytes.length });
}

/**
 * Before Node 22.15 only frames that say their size, as Python's library writes them and wants them.
 * @throws {TooLargeError}
 */
export function readZstd(bytes: Buffer, maxBytes: number): Buffer {
  if (node.zstdDecompressSync !== undefined) {
    return node.zstdDecompressSync(bytes, { maxOutputLength: maxBytes });
  }
  const size = contentSize(bytes);
  if (size === undefined) {
    throw new DecodeError(
      'cannot decompress the body: a zstd frame that does not say its size needs Node 22.15',
    );
  }
  if (size > maxBytes) throw new TooLargeError(`${size} bytes`);
  // Of exactly this size: what a lying frame holds beyond is dropped, and then it does not decode.
  const inflated = Buffer.alloc(size);
  load().decompress(bytes, inflated);
  return inflated;
}

const MAGIC = 0xfd2fb528;

/** The frame's content size (RFC 8878, 3.1.1.1); undefined when it has none. */
function contentSize(bytes: Buffer): number | undefined {
  if (bytes.readUInt32LE(0) !== MAGIC) throw new Error('not a zstd frame');
  const descriptor = bytes.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? bytes.readUInt8(at) : undefined;
    case 1:
      return bytes.readUInt16LE(at) + 256;
    case 2:
      return bytes.readUInt32LE(at);
    default:
      return Number(bytes.readBigUInt64LE(at));
  }
}

let loaded: typeof Fzstd | undefined;

function load(): typeof Fzstd {
  loaded ??= createRequire(import.meta.url)('fzstd') as typeof Fzstd;
  return loaded;
}
