import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/core/errors.ts';
import { compress, decompress } from '../../../src/message/compression.ts';
import { decodeEnvelope, encodeEnvelope } from '../../../src/message/envelope-json.ts';
import { decodeValue, encodeValue } from '../../../src/message/registry.ts';
import { decodeMeta, encodeMeta } from '../../../src/message/result-codec.ts';

const value = [
  {
    a: 1,
    b: [1.5, 'x', null, true],
    date: new Date(1.5e12),
    bytes: Buffer.from([1, 255]),
    ['__proto__']: {},
  },
  ...[-1, 2n ** 60n, 'é😀', 'yes', '012', 'long text '.repeat(20)],
];
const yaml = `- &a [1, {<<: {x: y}, ? p : q}, *a]
- !!set {a, b}
- !!binary "AA=="
- [2030-01-02 03:04:05.6 +1, 1:30, .inf, 0b1, 0x1_F, ~]
- |
  text
- >-
  folded
- "\\x41\\u00e9"
`;
// Written by the program zstd: Node 20 only reads it.
const ZSTD =
  'KLUv/WCNBZUWAPpSFAkWoCWFdADZj+Wiqu7ZhOy9peQ2XrFnCIkAiACIAHu7wh5hi7Ap7Albwm7YDHthh7CrHrWoqZ5a6tasV4e6xmMsxjSesYw75njjMC7xEAsxiUcs4oopnjiIix60oIkeWujSpEcHuuYxi5nmmWXuzHlzmEsespBJHlnkypQnB7n66KJTny69nX099OKDC058uPBy8vHAa48tNu3Zsru5t8Oux2J6ljtffOMV+AhcBE6BT+ASeANn4As81Ba1qfbUltqtzdqrHWrX2GNsGnvGlrE7Nsfe2GHsEnuILcQesUXsik2xJ3YQu2gP2oI20RbapU3aox1o1+wxW8ym2TO7szl7s8Pskj1kC9kke2SLbMqe7CC7uke36Kbu6Zbudq87dBf34BbcxD3cwl1ucgfuWqGL0Cn0CV1Cb+gMfaGH4qO4KE7Fp7gUb3EWX/FQvAYfg9PgM7gM3sE5+AYPg5fgQ3Ah+AgugldwCj7Bg+BFfBAXxIn4EBfiJU7iIx6I1/AxXAyn4TO8wzl8w8PwEj6EC+EkfISL8Aqn8AkPwqt8lItyKp9yKW/5ykN5kRM5+RgX4zQ+4zLecS4BCAYGAAoGCBQMBAYIBByqi+pUfapL9VZn9VUP1Wv0MTqNPqPL6B2do2/0MHqJPkQXopPoI7qIXtEp+kQPohf1QV1QJ+pDXaiXOqmPeqBe08d0MZ2mz/RO5/RND9NL+pAupJP0kS7SKX3Sg/Rql/b2tQ92wU7swy7sZSd7YK/1sS7WaX3WZb3rXN96WK/QRzEgEBRChJJ7FrkE08XQdwK/2GDwzyICzCIKoKcCQZhCz6QAOwqrowg6CjBHYeDoyI0M3EY2qCNaZH2sYDnTlGgWFNTs9NeeGwvbMsrWABsD17KptoGaBU9rHVjdGmQtBLUFWa4GDKtxoNXwZjVqWQ1GVo+xIsRuEGtAbPyw4MNCDwt4WEOSjoCn';
const text = Buffer.from(
  JSON.stringify(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => [name, 'text '.repeat(20), 1, 2, 3])),
);

/** What decodes, and something that it decodes. */
type Target = readonly [string, (bytes: Buffer) => unknown, Buffer];

const TARGETS: readonly Target[] = [
  ...(['json', 'msgpack', 'yaml'] as const).flatMap((serializer): Target[] => [
    [serializer, (bytes) => decodeValue({ serializer, bytes }), encodeValue(value, serializer).bytes],
    [`a result in ${serializer}`, (bytes) => decodeMeta(bytes, serializer), result(serializer)],
  ]),
  ['more YAML', (bytes) => decodeValue({ serializer: 'yaml', bytes }), Buffer.from(yaml)],
  ...['zlib', 'bzip2', 'brotli'].map((name): Target => {
    const { bytes: whole, compression } = compress(text, name);
    return [name, (bytes) => decompress(bytes, compression, 100_000), whole];
  }),
  ['zstd', (bytes) => decompress(bytes, 'application/zstd', 100_000), Buffer.from(ZSTD, 'base64')],
  ['an envelope', (bytes) => decodeEnvelope(bytes.toString('utf8')), envelope()],
];

function result(serializer: string): Buffer {
  const meta = {
    taskId: 'id',
    status: 'SUCCESS',
    result: encodeValue(value, serializer),
    error: null,
  } as const;
  const rest = { traceback: null, children: [], groupId: null, parentId: null, extended: null };
  return encodeMeta({ ...meta, ...rest, dateDone: new Date(5) }, 'key-value', serializer);
}

function envelope(): Buffer {
  const body = { body: Buffer.from('{}'), contentType: 'application/json', contentEncoding: 'utf-8' };
  const message = { ...body, headers: { task: 'x' }, properties: {} };
  return Buffer.from(encodeEnvelope(message, { exchange: '', routingKey: 'c', deliveryTag: 't' }));
}

/** The same numbers each time. */
function* numbers(): Generator<number, never, undefined> {
  for (let state = 4711; ;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Cut off anywhere, some bytes changed, parts left out, and no such thing at all. */
function* damages(whole: Buffer): Generator<Buffer> {
  const source = numbers();
  const below = (end: number): number => Math.floor(source.next().value * end);
  for (let at = 0; at < whole.length; at += 1) yield whole.subarray(0, at);
  for (let count = 0; count < 700; count += 1) {
    const changed = Buffer.from(whole);
    for (let times = 1 + below(3); times > 0; times -= 1) changed[below(changed.length)] = below(256);
    yield changed;
  }
  for (let count = 0; count < 250; count += 1) {
    yield Buffer.concat([whole.subarray(0, below(whole.length)), whole.subarray(below(whole.length))]);
    yield Buffer.from(Array.from({ length: below(60) }, () => below(256)));
  }
}

describe('damaged bytes', () => {
  it.each(TARGETS)('%s: a value or a DecodeError, and soon', (_, decode, whole) => {
    decode(whole);
    let refused = 0;
    for (const bytes of damages(whole)) {
      const startMs = performance.now();
      try {
        decode(bytes);
      } catch (error) {
        if (!(error instanceof DecodeError))
          throw new Error(`of ${bytes.toString('base64')}`, { cause: error });
        refused += 1;
      }
      if (performance.now() - startMs > 2000) throw new Error(`slow: ${bytes.toString('base64')}`);
    }
    expect(refused).toBeGreaterThan(250);
  });

  it('many small blocks of bzip2 take little memory', () => {
    const { bytes, compression } = compress(Buffer.from('x'), 'bzip2');
    const many = Buffer.concat(Array.from({ length: 20_000 }, () => bytes));
    const startMs = performance.now();
    expect(decompress(many, compression, 100_000)).toHaveLength(20_000);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});
