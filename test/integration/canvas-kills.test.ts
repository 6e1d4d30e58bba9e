import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { writeSignature } from '../../src/canvas/signature.ts';
import { Celery } from '../../src/index.ts';
import type { AnyResult } from '../../src/index.ts';
import { startCli, type RunningCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import { CanvasGenerator, plain, settled } from '../support/random-canvas.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import { seededRandom } from '../support/wire-fixtures.ts';

const TASKS = `
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', {
  broker: process.env.BROKER, backend: process.env.BROKER, broker_transport_options: { lease_timeout: 3 },
  task_acks_late: true, task_reject_on_worker_lost: true,
});
app.task('show', { bind: true, typing: false }, async ({ request: { args, kwargs: { label } } }) => {
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (label.endsWith('!')) throw new TypeError(label);
  return label + '(' + args.map((arg) => (Array.isArray(arg) ? '[' + arg.join(' ') + ']' : String(arg))).join(' ') + ')';
});
`;

const CANVASES = 60;

/** Processes of a worker that run tasks: those below it that are Node. */
function childrenOf({ pid }: RunningCli): number[] {
  try {
    const pids = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
      .trim()
      .split(' ');
    return pids.map(Number).filter((child) => readFileSync(`/proc/${String(child)}/comm`, 'utf8') !== 'sh\n');
  } catch {
    // It, or one of them, has just ended.
    return [];
  }
}

it.runIf(process.platform === 'linux').each([
  ['sqlite', true],
  ['redis', hasRedis],
])(
  'random canvases give what a plain evaluation gives, while processes and whole workers are killed: %s',
  { timeout: 180_000 },
  async (name, runs) => {
    if (!runs) return;
    await using redis = name === 'redis' ? await RedisServer.start() : undefined;
    const project = createProject({ 'tasks.ts': TASKS });
    const url = redis?.url() ?? `sqlite:///${project.path('celery.db')}`;
    const workers: RunningCli[] = [];
    let started = 0;
    const start = async (): Promise<void> => {
      started += 1;
      const args = ['-A', 'tasks', 'worker', '-n', `w${String(started)}@h`, '-c', '2', '-l', 'INFO'];
      const worker = startCli([...args, '--without-gossip', '--without-mingle'], {
        cwd: project.folder,
        env: { BROKER: url },
      });
      workers.push(worker);
      await worker.waitFor(/ ready\./, 60_000);
    };
    await using app = new Celery('client', { broker: url, backend: url });
    app.markConfigured();
    try {
      await Promise.all([start(), start()]);
      const nodes = Array.from({ length: CANVASES }, (_, seed) => new CanvasGenerator(seed + 1, 3).node(4));
      let left = CANVASES;
      const values = nodes.map(async (node) => {
        const sent = (await app.signature(writeSignature(node)).delay()) as unknown as AnyResult;
        try {
          return await sent.get({ timeout: 150 });
        } catch (error) {
          expect(String(error)).toMatch(/t\d+!/);
          return 'failed';
        } finally {
          left -= 1;
        }
      });
      const ended = Promise.all(values);
      const random = seededRandom(7);
      let kills = 0;
      const kill = async (): Promise<void> => {
        const worker = workers[Math.floor(random() * workers.length)];
        if (worker === undefined) return;
        kills += 1;
        if (kills % 3 === 0) {
          workers.splice(workers.indexOf(worker), 1);
          worker.kill('SIGKILL');
          await Promise.all([worker.ended, start()]);
        } else {
          const [child] = childrenOf(worker).sort(() => random() - 0.5);
          if (child !== undefined) process.kill(child, 'SIGKILL');
        }
      };
      // As long as there is something to kill for, but not for ever.
      for (let turn = 0; left > 0 && turn < 12; turn += 1) {
        await Promise.race([pause(400), ended.catch(() => undefined)]);
        if (left > 0) await kill();
      }
      expect(await ended).toEqual(nodes.map((node) => settled(() => plain(node, []))));
      // The canvases were still running when workers died.
      expect(kills).toBeGreaterThanOrEqual(3);
    } finally {
      for (const worker of workers) worker.kill('SIGTERM');
      await Promise.all(workers.map((worker) => worker.ended));
      project.remove();
    }
  },
);
