import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { watchDatabase } from '../../../src/sqlite/watch.ts';

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
