import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSignature } from '../../../src/canvas/signature.ts';
import { Celery } from '../../../src/index.ts';
import type { AnyResult } from '../../../src/index.ts';
import { startWorker } from '../../../src/testing/index.ts';
import type { TestWorker } from '../../../src/testing/index.ts';
import { CanvasGenerator, plain, settled, show } from '../../support/random-canvas.ts';

async function ended(result: Promise<AnyResult>): Promise<unknown> {
  return (await result).get({ timeout: 30 }).catch((error: unknown) => {
    // What fails is the task itself, or a chord that it is in: nothing may wait for ever.
    expect(String(error)).toMatch(/t\d+!/);
    return 'failed';
  });
}

function makeApp(settings: ConstructorParameters<typeof Celery>[1] = {}): Celery {
  const app = new Celery('random', { broker: 'memory://', backend: 'cache+memory://', ...settings });
  app.markConfigured();
  app.task('show', { bind: true, typing: false }, ({ request }) =>
    show(String(request.kwargs['label']), request.args),
  );
  return app;
}

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);

describe.each([
  ['that succeed', 0],
  ['of which tasks fail', 8],
])('random canvases %s give what a plain evaluation gives', (_, failing) => {
  let app: Celery;
  let worker: TestWorker;
  beforeAll(async () => {
    app = makeApp();
    worker = await startWorker(app);
  });
  afterAll(async () => {
    await worker.stop();
    await app.close();
  });

  it('sent to a worker', { timeout: 60_000 }, async () => {
    const nodes = SEEDS.map((seed) => new CanvasGenerator(seed, failing).node(4));
    const results = nodes.map((node) =>
      ended(app.signature(writeSignature(node)).delay() as unknown as Promise<AnyResult>),
    );
    const expected = nodes.map((node) => settled(() => plain(node, [])));
    expect(await Promise.all(results)).toEqual(expected);
  });

  it('run here', { timeout: 60_000 }, async () => {
    const eager = makeApp({ task_always_eager: true });
    for (const seed of SEEDS) {
      const node = new CanvasGenerator(seed, failing).node(4);
      const result = eager.signature(writeSignature(node)).delay() as unknown as Promise<AnyResult>;
      expect(await ended(result)).toEqual(settled(() => plain(node, [])));
    }
    await eager.close();
  });
});
