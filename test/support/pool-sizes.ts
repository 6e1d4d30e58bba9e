import { setTimeout as sleep } from 'node:timers/promises';
import type { Celery } from '../../src/app/celery.ts';

/** Waits until each worker has so many processes that may go again: Celery starts what `pool_grow` asks for a little later. */
export async function haveProcesses(app: Celery, nodes: readonly string[], count: number): Promise<void> {
  for (;;) {
    const stats = (await app.control.inspect({ destination: nodes, timeout: 20 }).stats()) ?? {};
    const pools = Object.values(stats) as { readonly pool?: { readonly processes?: readonly number[] } }[];
    if (pools.every(({ pool }) => (pool?.processes?.length ?? 0) >= count)) break;
    await sleep(100);
  }
  // Python's are counted from their start, and may go again once they are up, of which nothing tells.
  await sleep(2_000);
}
