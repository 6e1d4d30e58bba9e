import { isUtf8 } from 'node:buffer';

import { DecodeError, EncodeError } from '../core/errors.ts';
import { plainTree } from './plain-tree.ts';
import type { Serializer } from './serializer.ts';
import { readYaml } from './yaml-read.ts';
import { writeYaml } from './yaml-write.ts';

/**
 * YAML 1.1 as kombu reads and writes it (PyYAML's safe_load and safe_dump): no tag makes an object of a class.
 *
 * A Date is a timestamp, bytes are `!!binary`, an integer beyond 2^53 is a BigInt. Undefined is as in JSON.
 */
export const yamlSerializer: Serializer = {
  name: 'yaml',
  contentType: 'application/x-yaml',
  contentEncoding: 'utf-8',
  encode: encodeYaml,
  decode: decodeYaml,
  parse: decodeYaml,
  revive: (value) => value,
};

function encodeYaml(value: unknown): Buffer {
  try {
    return Buffer.from(writeYaml(plainTree(value, 'YAML', () => undefined)), 'utf8');
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    const why = error instanceof Error ? error.message : 'unknown error';
    throw new EncodeError(`cannot encode as YAML: ${why}`, { cause: error });
  }
}

// Reading takes some hundred times the memory of the text: 8 MiB are as much as a worker should be made to read.
const MAX_BYTES = 8 * 1024 * 1024;

function decodeYaml(body: Buffer): unknown {
  if (body.length > MAX_BYTES) {
    throw new DecodeError(`cannot decode YAML: ${body.length} bytes; ${MAX_BYTES} are allowed`);
  }
  if (!isUtf8(body)) throw new DecodeError('cannot decode YAML: the bytes are not UTF-8');
  return readYaml(body.toString('utf8'));
}
