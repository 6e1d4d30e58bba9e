import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { watchDatabase } from '../../../src/sqlite/watch.ts';

it('looks again from the beginning, since a commit can have been written already that shows only later', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-watch-'));
  const path = join(folder, 'file.db');
  await writeFile(path, '');
  const started = performance.now();
  const looked = await new Promise<number[]>((resolve) => {
    const times: number[] = [];
    const watch = watchDatabase(path, {
      look: () => {
        times.push(performance.now() - started);
        if (times.length < 10) return;
        watch[Symbol.dispose]();
        resolve(times);
      },
    });
  });
  await rm(folder, { recursive: true });
  // Nothing was written: the safety poll alone would look after 500 ms for the first time.
  expect(looked[4]).toBeLessThan(400);
  expect(looked[9]).toBeLessThan(3000);
});

it('goes on looking after a write, since the commit that the event told of may show later than another', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-watch-'));
  const path = join(folder, 'file.db');
  await writeFile(path, '');
  let looks = 0;
  let enough = (): void => undefined;
  const seen = new Promise<number>((resolve) => {
    enough = () => {
      resolve(performance.now());
    };
  });
  const watch = watchDatabase(path, {
    look: () => {
      looks += 1;
      if (looks === 10) enough();
    },
  });
  try {
    await appendFile(path, 'x');
    const started = performance.now();
    // The safety poll alone, at two looks a second, would take five seconds.
    expect((await seen) - started).toBeLessThan(3000);
  } finally {
    watch[Symbol.dispose]();
    await rm(folder, { recursive: true });
  }
});
