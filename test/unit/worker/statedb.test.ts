import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LamportClock } from '../../../src/core/clock.ts';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { nullLogger } from '../../../src/core/logger.ts';
import { WorkerState } from '../../../src/worker/state.ts';
import { StateDb } from '../../../src/worker/statedb.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'celery-ts-statedb-'));
  path = join(folder, 'w1.state');
});
afterEach(() => rmSync(folder, { recursive: true }));

function attach() {
  const [state, clock] = [new WorkerState(), new LamportClock()];
  return { state, clock, open: StateDb.open(path).attach(state, clock, nullLogger) };
}

describe('the state file', () => {
  it('gives the next worker what was revoked, as old as it is, and the clock', async () => {
    const first = attach();
    first.state.revoke(['a', 'b']);
    first.state.revoked.add('old', 10_000_000);
    first.state.revokeStamps('customer', ['7', 8]);
    first.clock.adjust(41);
    await first.open[Symbol.asyncDispose]();
    const { state, clock } = attach();
    expect([...state.revoked].sort()).toEqual(['a', 'b', 'old']);
    const ages = new Map(state.revoked.ages());
    expect(ages.get('old')).toBeGreaterThanOrEqual(10_000_000);
    expect(ages.get('a')).toBeLessThan(10_000);
    expect(state.revokedStamps).toEqual(new Map([['customer', new Set(['7', 8])]]));
    expect(clock.value).toBe(43);
    expect(readdirSync(folder)).toEqual(['w1.state']);
  });

  it('is written soon after a revoke: a worker that is killed loses nothing', async () => {
    const { state, open } = attach();
    state.revoke(['a']);
    state.revoke(['b']);
    await expect.poll(() => readdirSync(folder)).toEqual(['w1.state']);
    expect([...attach().state.revoked]).toEqual(['a', 'b']);
    await open[Symbol.asyncDispose]();
  });

  it.each([
    ['', 'it is not JSON'],
    ['{"format":"celery-ts worker st', 'it is not JSON'],
    ['[]', 'celery-ts has not written it'],
    ['{"__proto__": 3}', 'celery-ts has not written it'],
    ['{"format":"celery-ts worker state","version":9}', 'another version of celery-ts has written it'],
    [
      '{"format":"celery-ts worker state","version":1,"revoked":[["a"]],"stamps":[],"clock":1}',
      'it is damaged',
    ],
    [
      '{"format":"celery-ts worker state","version":1,"revoked":[],"stamps":[["h",1]],"clock":1}',
      'it is damaged',
    ],
  ])('that holds %j is refused: %s', (text, reason) => {
    writeFileSync(path, text);
    expect(() => StateDb.open(path)).toThrow(ImproperlyConfigured);
    expect(() => StateDb.open(path)).toThrow(`The state file ${path} cannot be used: ${reason}.`);
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it.each([
    ['in a folder that is not there', () => join(folder, 'none/w1.state'), 'ENOENT'],
    ['that is a folder', () => folder, 'EISDIR'],
  ])('%s is found out before the worker starts', (_, at, code) => {
    expect(() => StateDb.open(at())).toThrow(expect.objectContaining({ code }) as Error);
  });
});
