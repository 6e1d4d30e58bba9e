import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { compress, decompress } from '../../src/message/compression.ts';
import { python, runPython } from '../support/python.ts';

const HAS_ZSTD = 'zstdCompressSync' in zlib;
const BOTH_WAYS = ['zlib', 'gzip', 'bzip2', 'brotli', ...(HAS_ZSTD ? ['zstd'] : [])];
const METHODS = [...BOTH_WAYS, ...(HAS_ZSTD ? [] : ['zstd'])];

const BODIES: Readonly<Record<string, Buffer>> = {
  'one byte': Buffer.from('a'),
  'a message': Buffer.from(
    '[[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
  ),
  'runs of every length': Buffer.concat([1, 3, 4, 5, 258, 259, 260, 600].map((n) => Buffer.alloc(n, n))),
  'a pattern': Buffer.from('ab'.repeat(2_000)),
  'all bytes': Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256)),
  random: randomBytes(20_000),
  'more than a block': Buffer.from('0123456789abcdef'.repeat(57_000)),
};

const SCRIPT = `
import base64, json, sys
from kombu.compression import compress, decompress
asked = json.loads(open(sys.argv[1]).read())
answers = []
for way, name, body in asked:
    data = base64.b64decode(body)
    answers.append(base64.b64encode(compress(data, name)[0] if way == 'compress' else decompress(data, name)).decode())
json.dump(answers, open(sys.argv[2], 'w'))
`;

const CASES = METHODS.flatMap((method) => Object.keys(BODIES).map((what) => ({ method, what })));

describe.skipIf(python === undefined)('compression between TypeScript and Python', () => {
  const compressed = new Map<string, Buffer>();
  const inflated = new Map<string, Buffer>();

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'celery-ts-compression-'));
    try {
      const file = join(folder, 'asked.json');
      const asked = CASES.flatMap(({ method, what }) => {
        const body = BODIES[what]!;
        const there = ['compress', method, body.toString('base64')];
        if (!BOTH_WAYS.includes(method)) return [there];
        const own = compress(body, method);
        return [there, ['decompress', own.compression, own.bytes.toString('base64')]];
      });
      writeFileSync(file, JSON.stringify(asked));
      // More than a pipe should hold.
      const answered = join(folder, 'answers.json');
      await runPython(SCRIPT, file, answered);
      const answers = JSON.parse(readFileSync(answered, 'utf8')) as string[];
      for (const { method, what } of CASES) {
        compressed.set(`${method} ${what}`, Buffer.from(answers.shift()!, 'base64'));
        if (BOTH_WAYS.includes(method))
          inflated.set(`${method} ${what}`, Buffer.from(answers.shift()!, 'base64'));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each(CASES)('$method: $what', ({ method, what }) => {
    const body = BODIES[what]!;
    const theirs = compressed.get(`${method} ${what}`)!;
    expect(decompress(theirs, method, body.length).equals(body)).toBe(true);
    if (BOTH_WAYS.includes(method)) expect(inflated.get(`${method} ${what}`)!.equals(body)).toBe(true);
    if (body.length === 1) return;
    const tooSmall = body.length - 1;
    expect(() => decompress(theirs, method, tooSmall)).toThrow(`inflates to more than ${tooSmall}`);
    expect(() => decompress(theirs.subarray(0, -6), method, body.length)).toThrow('damaged');
  });

  it.skipIf(HAS_ZSTD)('says which Node writes zstd', () => {
    expect(() => compress(Buffer.from('x'), 'zstd')).toThrow("compression 'zstd' needs Node 22.15 to write");
  });
});
