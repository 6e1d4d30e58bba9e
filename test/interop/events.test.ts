import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { Reject, ValueError } from '../../src/core/errors.ts';
import type { ClusterState } from '../../src/monitor/state.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { WorkerOptions } from '../../src/worker/worker.ts';
import { startCli } from '../support/cli.ts';
import { LogLines } from '../support/log-lines.ts';
import { createProject } from '../support/project.ts';
import { PythonProcess } from '../support/python-process.ts';
import { python } from '../support/python.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import { SlotsPool } from '../support/slots-pool.ts';

const TASKS = `
import os
from celery import Celery
from celery.exceptions import Reject
app = Celery('tasks', broker=os.environ.get('BROKER', ''), backend='disabled://')
@app.task(name='tasks.add')
def add(x, y): return x + y
@app.task(name='tasks.fail')
def fail(message): raise ValueError(message)
@app.task(name='tasks.flaky', bind=True)
def flaky(self):
    if self.request.retries < 1: raise self.retry(countdown=0.1, exc=ValueError('again'))
    return 'ok'
@app.task(name='tasks.reject', acks_late=True)
def reject(): raise Reject('no', requeue=False)
@app.task(name='tasks.emit', bind=True)
def emit(self): self.send_event('task-progress', pct=40)
`;

/** Feeds Celery's own State until the last of the tasks has ended, and prints what it holds. */
const WATCH = `
import json, sys
from celery import Celery
app = Celery(broker=sys.argv[1])
state = app.events.State()
class Done(Exception): pass
def on_event(event):
    state.event(event)
    if event['type'] == 'worker-heartbeat': print('HEARD', flush=True)
    ready = [t for t in state.tasks.values() if (t.ready or t.rejected) and t.client]
    if len(ready) == int(sys.argv[2]): raise Done()
times = ['sent', 'received', 'started', 'succeeded', 'failed', 'retried', 'revoked', 'rejected']
with app.connection() as connection:
    recv = app.events.Receiver(connection, handlers={'*': on_event})
    print('READY', flush=True)
    try: recv.capture(timeout=40)
    except Done: pass
print('STATE ' + json.dumps({
  'events': state.task_count,
  'workers': sorted(state.workers),
  'alive': [w.alive for w in state.workers.values()],
  'tasks': {t.name + t.args: dict(
      state=t.state, args=t.args, kwargs=t.kwargs, retries=t.retries, result=t.result, exception=t.exception,
      traced=bool(t.traceback), root=t.root_id == t.uuid, parent=t.parent_id == t.uuid, eta=bool(t.eta), expires=bool(t.expires),
      runtime=isinstance(t.runtime, float), worker=t.worker and t.worker.hostname, client=bool(t.client),
      exchange=t.exchange, routing_key=t.routing_key, pct=getattr(t, 'pct', None),
      times=[name for name in times if getattr(t, name)],
    ) for t in state.tasks.values()},
}), flush=True)
`;

const SENT = 6;
/** Events about them. */
const LINES = 26;

/** The same as WATCH prints. */
function summary(state: ClusterState): unknown {
  const times = ['sent', 'received', 'started', 'succeeded', 'failed', 'retried', 'revoked', 'rejected'];
  const tasks = [...state.tasks.values()].map(({ fields, ...task }) => {
    const { args, kwargs, retries, result, exception, exchange, routing_key, pct } = fields;
    return [
      `${fields.name ?? ''}${fields.args ?? ''}`,
      {
        ...{ state: task.state, args, kwargs, retries, result: result ?? null, exception: exception ?? null },
        traced: Boolean(fields.traceback),
        root: fields.root_id === task.uuid,
        parent: fields.parent_id === task.uuid,
        eta: Boolean(fields.eta),
        expires: Boolean(fields.expires),
        runtime: typeof fields.runtime === 'number',
        worker: task.worker?.hostname ?? null,
        client: Boolean(task.client),
        ...{ exchange, routing_key, pct: pct ?? null },
        times: times.filter((name) => Boolean(fields[name])),
      },
    ] as const;
  });
  return {
    events: state.taskCount,
    workers: [...state.workers.keys()].sort(),
    alive: [...state.workers.values()].map(({ alive }) => alive),
    tasks: Object.fromEntries(tasks),
  };
}

interface Server extends AsyncDisposable {
  url(): string;
}

const SERVERS: readonly (readonly [string, boolean, () => Promise<Server>])[] = [
  ['RabbitMQ', hasRabbitmq, () => Rabbitmq.start()],
  ['Redis', hasRedis, () => RedisServer.start()],
];

describe.each(SERVERS)('events over %s', (_name, isThere, start) => {
  describe.skipIf(!isThere || python === undefined)('with the real Celery', { timeout: 90_000 }, () => {
    let server: Server;
    let own: (() => unknown)[] = [];

    beforeAll(async () => {
      server = await start();
    });
    afterEach(async () => {
      for (const release of own.reverse()) await release();
      own = [];
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    function makeApp(): Celery {
      const app = new Celery('tasks', { broker: server.url(), backend: 'disabled://' });
      app.conf.task_send_sent_event = true;
      app.markConfigured();
      app.task('tasks.add', (x: number, y: number) => x + y);
      app.task('tasks.fail', (message: string) => {
        throw new ValueError(message);
      });
      app.task('tasks.flaky', { bind: true }, (self) => {
        if (self.request.retries < 1) throw self.retry({ countdown: 0.1, exc: new ValueError('again') });
        return 'ok';
      });
      app.task('tasks.reject', { acksLate: true }, () => {
        throw new Reject('no', false);
      });
      app.task('tasks.emit', { bind: true }, async (self) => {
        await self.sendEvent('task-progress', { pct: 40 });
        return null;
      });
      own.push(() => app.close());
      return app;
    }

    async function startOurs(
      options: Partial<WorkerOptions> = {},
    ): Promise<{ worker: Worker; log: LogLines }> {
      const app = makeApp();
      app.conf.worker_send_task_events = true;
      const log = new LogLines();
      const { logger } = log;
      const pool = new SlotsPool(app, logger, 1);
      const worker = new Worker(app, { hostname: 'w@h', pool, logger, heartbeatInterval: 2, ...options });
      own.push(() => worker.stop('cold'));
      await worker.start(new AbortController().signal);
      return { worker, log };
    }

    async function startPython(...options: string[]): Promise<PythonProcess> {
      const project = createProject({ 'pytasks.py': TASKS });
      own.push(() => project.remove());
      const url = ['-b', server.url(), '-A', 'pytasks'];
      const worker = new PythonProcess(['-m', 'celery', ...url, 'worker', '-P', 'solo', '-E', ...options], {
        cwd: project.folder,
      });
      own.push(() => worker[Symbol.asyncDispose]());
      await worker.until(/ ready\./);
      // Over Redis it says so before it listens.
      const { control } = makeApp();
      while ((await control.ping({ timeout: 0.5 })).length === 0) continue;
      return worker;
    }

    async function sendAll(app: Celery): Promise<void> {
      await app.sendTask('tasks.add', [2, 3]);
      await app.sendTask('tasks.fail', ['boom']);
      await app.sendTask('tasks.flaky');
      await app.sendTask('tasks.reject');
      await app.sendTask('tasks.emit');
      await app.sendTask('tasks.fail', ['late'], {
        expires: new Date(Date.now() - 60_000),
        shadow: 'tasks.late',
      });
    }

    /** What Celery's State and ours show of the same events. */
    async function observe(app: Celery): Promise<readonly [unknown, unknown]> {
      const watch = new PythonProcess(['-c', WATCH, server.url(), String(SENT)]);
      own.push(() => watch[Symbol.asyncDispose]());
      const state = app.events.State();
      const stop = new AbortController();
      const capture = app.events.Receiver({ handlers: { '*': (event) => state.event(event) } }).capture({
        signal: stop.signal,
      });
      // Over Redis the first to hear is the next heartbeat: there the receiver may not listen yet when it is answered.
      await watch.until(/HEARD/);
      await sendAll(app);
      const [, json = ''] = await watch.until(/^STATE (.*)$/m);
      const ended = (): number =>
        [...state.tasks.values()].filter(
          (task) => (task.ready || task.fields.rejected !== undefined) && task.client !== null,
        ).length;
      while (ended() < SENT) await pause(20);
      stop.abort();
      await capture;
      return [JSON.parse(truthful(json)), JSON.parse(truthful(JSON.stringify(summary(state))))];
    }

    test('a worker of ours leaves the same state as a Python worker, in Celery’s monitors and in ours', async () => {
      const pythonWorker = await startPython(
        '-n',
        'w@h',
        '--without-mingle',
        '--without-gossip',
        '-l',
        'INFO',
      );
      const client = makeApp();
      const ofPython = await observe(client);
      await pythonWorker.stop();
      await startOurs();
      const ofOurs = await observe(client);
      expect(ofPython[1]).toEqual(ofPython[0]);
      expect(ofOurs[1]).toEqual(ofOurs[0]);
      expect(ofOurs[0]).toEqual(ofPython[0]);
    });

    test('both commands print the same lines of a Python worker', async () => {
      await startPython('-n', 'w@h', '--without-mingle', '--without-gossip', '-l', 'INFO');
      const project = createProject({});
      own.push(() => project.remove());
      const theirs = new PythonProcess(['-m', 'celery', '-b', server.url(), 'events', '--dump']);
      own.push(() => theirs[Symbol.asyncDispose]());
      const ours = startCli(['-b', server.url(), 'events', '--dump'], { cwd: project.folder });
      own.push(() => ours.kill('SIGKILL'));
      await Promise.all([theirs.until(/heartbeat: /), ours.waitFor(/heartbeat: /)]);
      const app = makeApp();
      await sendAll(app);
      while (![theirs.output, ours.stdout].every((output) => taskLines(output).length === LINES))
        await pause(20);
      ours.kill('SIGINT');
      const { code, stdout } = await ours.ended;
      expect(code).toBe(0);
      expect(taskLines(stdout)).toEqual(taskLines(theirs.output));
      expect(stdout.split('\n')[0]).toBe('-> evdump: starting capture...');
    });

    test('workers of both kinds know of each other', async () => {
      const first = await startPython('-n', 'py@h', '-l', 'DEBUG');
      await makeApp().control.broadcast('revoke', { task_id: 'revoked-before' });
      await first.until(/flagged as revoked: revoked-before/);
      const { worker, log } = await startOurs({ hostname: 'ts@h', gossip: true, mingle: true });
      expect(log.matching(/mingle:/)).toEqual([
        'INFO/MainProcess mingle: searching for neighbors',
        'INFO/MainProcess mingle: sync with 1 nodes',
        'DEBUG/MainProcess mingle: processing reply from py@h',
        'INFO/MainProcess mingle: sync complete',
      ]);
      expect(worker.state?.revoked.has('revoked-before')).toBe(true);
      await first.until(/sync with ts@h/);
      await first.until(/ts@h joined the party/);
      await log.until(/py@h joined the party/);
      const second = await startPython('-n', 'py2@h', '-l', 'DEBUG');
      await second.until(/mingle: sync with 2 nodes/);
      await second.until(/processing reply from ts@h/);
      await first.stop('SIGKILL');
      await log.until(/INFO.*missed heartbeat from py@h/);
      await worker.stop('warm');
      await second.until(/ts@h left/);
    });
  });
});

/** Celery 5.2 with the billiard of its distribution shows errors by the names of its own wrappers. */
function truthful(json: string): string {
  return json
    .replaceAll('ExceptionWithTraceback()', "ValueError('boom')")
    .replaceAll("Retry(Retry(...), ValueError('again'), 0.1)", "ValueError('again')");
}

/** Lines about tasks without what differs: when each command got them, and the clock that it gives to clients. */
function taskLines(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => /\] task /.test(line))
    .map((line) => line.replace(/local_received=[^,]*, /, '').replace(/(task sent:.* )clock=\d+, /, '$1'))
    .sort();
}
