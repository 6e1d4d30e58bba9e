import { setTimeout as sleep } from 'node:timers/promises';
import type { Celery } from '../../src/app/celery.ts';

/** Waits until each worker has so many processes: Celery starts what `pool_grow` asks for a little later. */
export async function haveProcesses(app: Celery, nodes: readonly string[], count: number): Promise<void> {
  for (;;) {
    const stats = (await app.control.inspect({ destination: nodes, timeout: 20 }).stats()) ?? {};
    const pools = Object.values(stats) as { readonly pool?: { readonly processes?: readonly number[] } }[];
    if (pools.every(({ pool }) => (pool?.processes?.length ?? 0) >= count)) return;
    await sleep(100);
  }
}
