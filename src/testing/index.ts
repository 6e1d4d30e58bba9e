/// <reference lib="esnext.disposable" preserve="true" />
/// <reference types="node" preserve="true" />
/**
 * `celery-ts/testing`: for tests of a user's own tasks.
 *
 * ```ts
 * import { startWorker } from 'celery-ts/testing';
 *
 * const app = new Celery('tests', { broker: 'memory://', backend: 'cache+memory://' });
 * const worker = await startWorker(app);
 * const result = await add.delay(4, 4);
 * assert.equal(await result.get({ timeout: 5 }), 8);
 * await worker.stop();
 * await app.close();
 * ```
 *
 * For tests without any worker there is eager mode: `app.conf.task_always_eager = true`.
 */
export { startWorker } from './worker.ts';
export type { TestWorker, TestWorkerOptions } from './worker.ts';
