import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../src/backend/backend.ts';
import { sqliteBackend } from '../../src/backend/sqlite.ts';
import { BackendGetMetaError, BackendStoreError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { type Database, openDatabase } from '../../src/sqlite/driver.ts';
import { sqliteTransport } from '../../src/transport/sqlite/transport.ts';
import { commits } from '../support/sqlite-commits.ts';
import { backendContract, resultMeta } from '../contract/backend-suite.ts';
import { directQueue, envelope } from '../support/messages.ts';

const OPTIONS = { resultExpiresS: 86_400, serializer: 'json', acceptContent: ['json'] };

backendContract('sqlite', async ({ resultExpiresS = 86_400 }) => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
  const url = `sqlite:///${join(folder, 'results.db')}`;
  const options = { ...OPTIONS, resultExpiresS };
  return {
    client: sqliteBackend(url, options),
    worker: sqliteBackend(url, options),
    dispose: () => rm(folder, { recursive: true }),
  };
});

describe('results in a file', () => {
  let folder: string;
  let path: string;
  let own: Releasers;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
    path = join(folder, 'results.db');
    own = new Releasers();
  });
  afterEach(async () => {
    await own.release();
    await rm(folder, { recursive: true });
  });

  const open = (more = {}): ResultBackend =>
    own.own(sqliteBackend(`sqlite:///${path}`, { ...OPTIONS, ...more }));
  const tables = (): Database => {
    const database = openDatabase(path);
    own.push(() => database.close());
    return database;
  };

  it('wake those who wait in another process within 50 ms', async () => {
    const backend = open();
    await backend.fetch('x');
    // Stores a result for each line with an id that it reads, and prints when that was done.
    const script = `
      import { createInterface } from 'node:readline';
      import { sqliteBackend } from ${JSON.stringify(resolve('build/backend/sqlite.js'))};
      const backend = sqliteBackend(process.argv[1], ${JSON.stringify(OPTIONS)});
      const result = { serializer: 'json', bytes: Buffer.from('1') };
      const rest = { error: null, traceback: null, children: [], dateDone: null, groupId: null, parentId: null, extended: null };
      for await (const taskId of createInterface(process.stdin)) {
        await backend.store({ taskId, status: 'SUCCESS', result, ...rest });
        console.log(performance.timeOrigin + performance.now());
      }
      await backend[Symbol.asyncDispose]();`;
    const args = ['--input-type=module', '-e', script, backend.url];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const delays: number[] = [];
    for (let index = 0; index < 30; index += 1) {
      const seen = (async () => {
        for await (const meta of backend.watch(`t${index}`, AbortSignal.timeout(10_000))) {
          expect(meta.status).toBe('SUCCESS');
        }
        return performance.timeOrigin + performance.now();
      })();
      await new Promise((done) => setTimeout(done, 25));
      child.stdin.write(`t${index}\n`);
      const line = (await lines.next()) as IteratorResult<string, undefined>;
      delays.push((await seen) - Number(line.value));
    }
    child.stdin.end();
    await once(child, 'exit');
    delays.sort((a, b) => a - b);
    expect(delays[15]).toBeLessThan(50);
  });

  it('may share the file of the broker, and then the transaction of an ack', async () => {
    const transport = sqliteTransport(`sqlite:///${path}`, { transportOptions: {} });
    const connection = own.own(await transport.connect(new AbortController().signal));
    const channel = own.own(await connection.openChannel());
    await channel.declareQueue(directQueue('celery'));
    await channel.publish(envelope('[]'), '', 'celery');
    const backend = open();
    await backend.fetch('x');
    const delivery = await channel.get('celery');
    const before = commits(path);
    await Promise.all([
      backend.store(resultMeta('t', 'SUCCESS', 1)).then(() => delivery?.ack()),
      backend.store(resultMeta('u', 'SUCCESS', 2)),
    ]);
    expect(commits(path) - before).toBe(2);
    const again = commits(path);
    await Promise.all([
      backend.store(resultMeta('v', 'SUCCESS', 1)),
      channel.publish(envelope('[]'), '', 'celery'),
    ]);
    expect(commits(path) - again).toBe(1);
  });

  it('are deleted after their time, beside new ones', async () => {
    const backend = open({ resultExpiresS: 0.05 });
    await Promise.all(['a', 'b', 'c'].map((id) => backend.store(resultMeta(id, 'SUCCESS', 1))));
    await backend.saveGroup([['g', null], []]);
    await new Promise((done) => setTimeout(done, 80));
    const other = open();
    await other.store(resultMeta('d', 'SUCCESS', 1));
    const database = tables();
    expect(database.prepare('SELECT task_id FROM celery_ts_result').all()).toEqual([{ task_id: 'd' }]);
    expect(database.prepare('SELECT group_id FROM celery_ts_taskset').all()).toEqual([]);
  });

  it('are found by an index, by id and by what is new', async () => {
    await open().fetch('x');
    const plan = (sql: string, ...values: (string | number)[]): string =>
      String(
        tables()
          .prepare(`EXPLAIN QUERY PLAN ${sql}`)
          .get(...values)?.detail,
      );
    expect(plan('SELECT meta FROM celery_ts_result WHERE task_id = ?', 'x')).toMatch(/USING INDEX/);
    expect(plan('SELECT task_id FROM celery_ts_result WHERE seq > ?', 1)).toMatch(/INTEGER PRIMARY KEY/);
    expect(plan('SELECT rowid FROM celery_ts_result WHERE expires_at <= ?', 1)).toMatch(
      /USING COVERING INDEX/,
    );
  });

  it('go on in the new file when the old one is removed', async () => {
    const backend = open();
    await backend.store(resultMeta('a', 'SUCCESS', 1));
    const waiting = (async () => {
      const seen: string[] = [];
      for await (const { status } of backend.watch('b', AbortSignal.timeout(10_000))) seen.push(status);
      return seen;
    })();
    await rm(path);
    await expect.poll(() => backend.fetch('a'), { timeout: 5_000 }).toBeUndefined();
    await open().store(resultMeta('b', 'SUCCESS', 1));
    expect(await waiting).toEqual(['SUCCESS']);
  });

  it.each([
    ['damaged', 'not JSON', 'json', {}, /could not be read/],
    ['of a serializer that nobody has', '{}', 'pickle', {}, /serializer pickle is read by Python only/],
    [
      'of a serializer that is not accepted',
      '{}',
      'json',
      { acceptContent: [] },
      /not in result_accept_content/,
    ],
  ])('that are %s are told of, not given', async (_, meta, serializer, options, text) => {
    const backend = open(options);
    await backend.fetch('x');
    tables()
      .prepare(
        `INSERT INTO celery_ts_result (task_id, status, serializer, meta) VALUES ('x', 'SUCCESS', ?, ?)`,
      )
      .run(serializer, Buffer.from(meta));
    const failure: unknown = await backend.fetch('x').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BackendGetMetaError);
    expect(String(failure)).toMatch(text);
  });

  it('leave the file alone when their tables cannot be made', async () => {
    const database = openDatabase(path);
    // An index on what is no table.
    database.exec('CREATE VIEW celery_ts_result AS SELECT 1 AS expires_at');
    database.close();
    const backend = own.own(sqliteBackend(`sqlite:///${path}`, OPTIONS));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(backend.fetch('a')).rejects.toThrow(/views may not be indexed/);
    }
    const open = readdirSync('/proc/self/fd').map((fd) => readlinkOf(`/proc/self/fd/${fd}`));
    expect(open.filter((file) => file.startsWith(path))).toEqual([]);
  });

  it('cannot be stored in a place that is not there, which is told and can be mended', async () => {
    const missing = join(folder, 'sub');
    const backend = own.own(sqliteBackend(`sqlite:///${join(missing, 'r.db')}`, OPTIONS));
    const failure: unknown = await backend
      .store(resultMeta('a', 'SUCCESS', 1))
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BackendStoreError);
    expect(String(failure)).toMatch(/result of task a was not stored: .*the folder .*sub does not exist/);
    const waiting = backend.watch('a', AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next();
    await expect(waiting).rejects.toBeInstanceOf(BackendGetMetaError);
  });
});

function readlinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
