import { readFileSync } from 'node:fs';

import { decodeJson } from '../../src/message/json.ts';

/** A file of test/fixtures/wire, with integers of any size kept exact. */
export function wireFixture<Content>(name: string): Content {
  const text = readFileSync(new URL(`../fixtures/wire/${name}`, import.meta.url), 'utf8');
  return decodeJson(text) as Content;
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
