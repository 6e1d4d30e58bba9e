import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Broadcast, Celery } from '../../src/index.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { startCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import { python, runPython } from '../support/python.ts';
import { startPythonCelery } from '../support/python-session.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const OURS = `
import { appendFileSync } from 'node:fs';
import { Broadcast, Celery } from 'celery-ts';

export const app = new Celery('ours', { broker: process.env.BROKER, task_queues: [new Broadcast('all')] });
app.task('all.note', (text) => appendFileSync(process.env.NOTES, 'ts ' + text + '\\n'));
`;

const PYTHONS = `
import os
from celery import Celery
from kombu.common import Broadcast

app = Celery('pythons', broker=os.environ['BROKER'])
app.conf.task_queues = (Broadcast('all'),)

@app.task(name='all.note', ignore_result=True)
def note(text):
    with open(os.environ['NOTES'], 'a') as file:
        file.write(f'py {text}\\n')
`;

/** A kombu that has not declared the exchange takes it for a direct one, where its broker is Redis. */
const PYTHON_CLIENT = `
import sys
from celery import Celery
from kombu.common import Broadcast
app = Celery(broker=sys.argv[1])
app.conf.task_queues = (Broadcast('all'),)
with app.producer_pool.acquire() as producer:
    exchange = app.amqp.queues['all'].exchange
    app.send_task('all.note', ('from Python',), queue='all', producer=producer, declare=[exchange])
`;

const own = new Releasers();
afterEach(() => own.release());

describe.runIf(hasRabbitmq && hasRedis && python !== undefined)('a Broadcast queue', () => {
  it.each(['rabbitmq', 'redis'])(
    'every worker of both languages runs what either sends: %s',
    { timeout: 120_000 },
    async (name) => {
      const server = own.own(await (name === 'redis' ? RedisServer.start() : Rabbitmq.start()));
      const project = createProject({ 'ours.js': OURS, 'pythons.py': PYTHONS, notes: '' });
      own.push(() => project.remove());
      const env = { BROKER: server.url(), NOTES: project.path('notes'), C_FORCE_ROOT: '1' };
      const options = { cwd: project.folder, env };
      const common = ['worker', '-c', '1', '-l', 'INFO', '--without-mingle'];
      const workers = [
        startCli(['-A', 'ours', ...common, '-n', 'ts1@h'], options),
        startCli(['-A', 'ours', ...common, '-n', 'ts2@h'], options),
        startPythonCelery(['-A', 'pythons', ...common, '-n', 'py@h'], options),
      ];
      for (const worker of workers) own.push(() => worker.kill('SIGKILL'));
      await Promise.all(workers.map((worker) => worker.waitFor(/ ready\./, 60_000)));

      const client = own.own(
        new Celery('client', { broker: server.url(), task_queues: [new Broadcast('all')] }),
      );
      await client.sendTask('all.note', ['from TypeScript'], { queue: 'all' });
      await runPython(PYTHON_CLIENT, server.url());
      const notes = (): string[] => readFileSync(env.NOTES, 'utf8').trim().split('\n').sort();
      await expect
        .poll(notes, { timeout: 30_000 })
        .toEqual(
          ['py', 'ts', 'ts'].flatMap((who) => [`${who} from Python`, `${who} from TypeScript`]).sort(),
        );
    },
  );
});
