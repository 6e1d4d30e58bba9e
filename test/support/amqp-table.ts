import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** The table of amqplib's own encoder, with its length in front. */
const { encodeTable } = require(join(dirname(require.resolve('amqplib')), 'lib/codec.js')) as {
  encodeTable: (buffer: Buffer, fields: Readonly<Record<string, unknown>>, offset: number) => number;
};

/** The entries of an AMQP table, as amqplib writes them; `{ '!': 'int64', value }` gives a value a type of its own. */
export function amqpTable(fields: Readonly<Record<string, unknown>>): Buffer {
  const buffer = Buffer.alloc(65_536);
  return Buffer.from(buffer.subarray(4, encodeTable(buffer, fields, 0)));
}
