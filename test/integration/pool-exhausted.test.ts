import { expect, it } from 'vitest';
import { Celery } from '../../src/index.ts';
import { startCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';

/** Once a process has died, no other can load the app. */
const TASKS = `
import { existsSync, writeFileSync } from 'node:fs';
import { Celery } from 'celery-ts';
if (existsSync('broken')) process.exit(3);
export const app = new Celery('tasks', { broker: process.env.BROKER, backend: process.env.BROKER });
app.task('die', () => {
  writeFileSync('broken', '');
  process.kill(process.pid, 'SIGKILL');
});
app.task('alarm', (request, exc) => console.log('called for', request.id));
app.task('told', (id) => id);
`;

it.each(['prefork', 'async'])(
  'a worker ends whose processes cannot be started any more, though an error callback waits for one: %s',
  { timeout: 120_000 },
  async (pool) => {
    const project = createProject({ 'tasks.js': TASKS });
    const url = `sqlite:///${project.path('celery.db')}`;
    const args = ['-A', 'tasks', 'worker', '-P', pool, '-c', '1', '-l', 'INFO'];
    const worker = startCli(args, { cwd: project.folder, env: { BROKER: url } });
    await using app = new Celery('client', { broker: url, backend: url });
    app.markConfigured();
    try {
      await worker.waitFor(/ ready\.\n/, 60_000);
      const signature = app.signature('die').onError(app.signature('alarm')).onError(app.signature('told'));
      const result = await signature.delay();
      await expect(result.get({ timeout: 60 })).rejects.toMatchObject({ name: 'WorkerLostError' });
      expect((await worker.ended).code).toBe(1);
      expect(worker.output).toContain(
        `Error callbacks of die[${result.id}] were not called to their end (lost)`,
      );
    } finally {
      worker.kill('SIGKILL');
      await worker.ended;
      project.remove();
    }
  },
);
