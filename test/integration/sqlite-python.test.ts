import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { Envelope } from '../../src/message/message.ts';
import { openDatabase } from '../../src/sqlite/driver.ts';
import { sqliteTransport } from '../../src/transport/sqlite/transport.ts';
import type { Channel, Delivery } from '../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../support/messages.ts';
import { python, runPython } from '../support/python.ts';

const APP = `
import sys
from celery import Celery
app = Celery('tasks', broker='sqla+sqlite:///' + sys.argv[1] if sys.argv[0] == '-c' else None)
app.conf.task_ignore_result = True
`;
const SEND = `${APP}
for index in range(int(sys.argv[2])):
    app.send_task('tasks.note', (index,), task_id='py-%d' % index)
`;
/** Notes each run in a file, so that one that runs twice is seen. */
const WORKER = `
import os
from celery import Celery
app = Celery('tasks', broker='sqla+sqlite:///' + os.environ['BROKER'])
app.conf.task_ignore_result = True
@app.task(name='tasks.note')
def note(index):
    with open(os.environ['NOTES'], 'a') as notes:
        notes.write('%s\\n' % index)
`;

/** A task message as celery-ts sends it. */
function taskMessage(index: number): Envelope {
  const id = `ts-${index}`;
  const embed = { callbacks: null, errbacks: null, chain: null, chord: null };
  const headers = { lang: 'ts', task: 'tasks.note', id, root_id: id, retries: 0, ignore_result: true };
  return envelope(JSON.stringify([[index], {}, embed]), {
    headers: { ...headers, argsrepr: `(${index},)`, kwargsrepr: '{}', timelimit: [null, null] },
    properties: { correlationId: id, replyTo: 'nobody', deliveryMode: 2, priority: index % 3 },
  });
}

const idOf = (delivery: Delivery): unknown => delivery.envelope.headers.id;

describe.skipIf(python === undefined)('one file with a Python Celery', () => {
  let folder: string;
  let path: string;
  let own: Releasers;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
    path = join(folder, 'broker.db');
    own = new Releasers();
  });
  afterEach(async () => {
    await own.release();
    await rm(folder, { recursive: true });
  });

  const open = async (): Promise<Channel> => {
    const transport = sqliteTransport(`sqla+sqlite:///${path}`, { transportOptions: {} });
    const connection = own.own(await transport.connect(new AbortController().signal));
    const channel = own.own(await connection.openChannel());
    await channel.declareQueue(directQueue('celery'));
    return channel;
  };

  const notes = async (): Promise<string[]> => {
    const text = await readFile(join(folder, 'notes'), 'utf8').catch(() => '');
    return text.split('\n').filter(Boolean);
  };

  const startWorker = async (): Promise<ChildProcess> => {
    await writeFile(join(folder, 'tasks.py'), WORKER);
    const args = ['-m', 'celery', '-A', 'tasks', 'worker', '-P', 'solo', '-l', 'INFO', '--without-mingle'];
    const worker = spawn(python ?? '', args, {
      cwd: folder,
      env: { ...process.env, BROKER: path, NOTES: join(folder, 'notes') },
      stdio: 'ignore',
    });
    own.push(async () => {
      const exit = once(worker, 'exit');
      worker.kill('SIGKILL');
      await exit;
    });
    return worker;
  };

  it.each(['Python', 'us'])('made by %s: we receive what Python sends', async (maker) => {
    if (maker === 'us') await open();
    await runPython(SEND, path, '5');
    const channel = await open();
    const inbox = new Inbox();
    await channel.consume(directQueue('celery'), inbox.take);
    const deliveries = await inbox.arrived(5);
    expect(deliveries.map(idOf)).toEqual(['py-0', 'py-1', 'py-2', 'py-3', 'py-4']);
    expect(deliveries[0]).toMatchObject({ exchange: '', routingKey: 'celery', redelivered: false });
    expect(JSON.parse(deliveries[3]?.envelope.body.toString() ?? '')).toMatchObject([
      [3],
      {},
      { chain: null },
    ]);
    await Promise.all(deliveries.map((delivery) => delivery.ack()));
    expect(await channel.size('celery')).toBe(0);
  });

  it('a Python worker runs what we send, also what we had taken and given back', async () => {
    const channel = await open();
    await Promise.all([0, 1, 2, 3].map((index) => channel.publish(taskMessage(index), '', 'celery')));
    const [one, two] = [await channel.get('celery'), await channel.get('celery')];
    await one?.reject({ requeue: true });
    await two?.ack();
    await startWorker();
    await expect.poll(async () => (await notes()).sort(), { timeout: 20_000 }).toEqual(['0', '2', '3']);
    const tables = openDatabase(path);
    own.push(() => tables.close());
    // kombu keeps the rows of what it has taken.
    const rows = (): unknown =>
      tables.prepare('SELECT count(*) AS n, sum(visible) AS v FROM kombu_message').get();
    await expect.poll(rows).toEqual({ n: 3, v: 0 });
  });

  it('a Python worker and we share a queue: each message once, while both send', async () => {
    await runPython(SEND, path, '0');
    await startWorker();
    const channel = await open();
    await channel.publish(taskMessage(1_000), '', 'celery');
    await expect.poll(notes, { timeout: 20_000 }).toEqual(['1000']);

    await channel.prefetch(2);
    const ours: number[] = [];
    await channel.consume(directQueue('celery'), (delivery) => {
      const [[index]] = JSON.parse(delivery.envelope.body.toString()) as [[number]];
      // Time for the Python worker, which polls, to get some as well.
      setTimeout(() => {
        ours.push(index);
        void delivery.ack();
      }, 100);
    });
    const sending = runPython(SEND, path, '40');
    for (let index = 100; index < 160; index += 1) await channel.publish(taskMessage(index), '', 'celery');
    await sending;
    const all = async (): Promise<number[]> => [...ours, ...(await notes()).map(Number)];
    await expect.poll(async () => (await all()).length, { timeout: 20_000 }).toBe(101);
    const numbers = [1_000, ...Array(40).keys(), ...Array.from({ length: 60 }, (_, index) => 100 + index)];
    expect((await all()).sort((a, b) => a - b)).toEqual(numbers.sort((a, b) => a - b));
    expect(ours.length).toBeGreaterThan(0);
  });
});
