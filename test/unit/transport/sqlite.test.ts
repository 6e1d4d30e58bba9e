import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { type Database, openDatabase } from '../../../src/sqlite/driver.ts';
import { isAlive, newOwner, ownerLeft } from '../../../src/transport/sqlite/owner.ts';
import { sqliteTransport } from '../../../src/transport/sqlite/transport.ts';
import type { Channel, Connection } from '../../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../../support/messages.ts';

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

const connect = async (transportOptions = {}): Promise<Connection> => {
  const transport = sqliteTransport(`sqlite:///${path}`, { transportOptions });
  return own.own(await transport.connect(new AbortController().signal));
};

const queue = directQueue('celery');

async function channelAndTables(): Promise<{ channel: Channel; tables: Database; connection: Connection }> {
  const connection = await connect();
  const channel = own.own(await connection.openChannel());
  await channel.declareQueue(queue);
  const tables = openDatabase(path);
  own.push(() => tables.close());
  return { channel, tables, connection };
}

describe('the tables', () => {
  // As recorded from kombu 5.2.4 with SQLAlchemy 1.4.46.
  it.each([
    ['kombu_queue', 'kombu_message', {}],
    ['my_queue', 'my_message', { queue_tablename: 'my_queue', message_tablename: 'my_message' }],
  ])('are those of kombu: %s, %s', async (queues, messages, options) => {
    await connect(options);
    const tables = openDatabase(path);
    own.push(() => tables.close());
    const rows = tables
      .prepare(
        `SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'celery_ts_%' AND name NOT LIKE 'sqlite_%'`,
      )
      .all();
    expect(Object.fromEntries(rows.map(({ name, sql }) => [name, sql]))).toEqual({
      [queues]: `CREATE TABLE ${queues} (\n\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tname VARCHAR(200), \n\tUNIQUE (name)\n)`,
      [messages]: `CREATE TABLE ${messages} (\n\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tvisible BOOLEAN, \n\ttimestamp DATETIME, \n\tpayload TEXT NOT NULL, \n\tversion SMALLINT NOT NULL, \n\tqueue_id INTEGER, \n\tCONSTRAINT "FK_kombu_message_queue" FOREIGN KEY(queue_id) REFERENCES ${queues} (id)\n)`,
      [`ix_${messages}_visible`]: `CREATE INDEX ix_${messages}_visible ON ${messages} (visible)`,
      ix_kombu_message_timestamp_id: `CREATE INDEX ix_kombu_message_timestamp_id ON ${messages} (timestamp, id)`,
      [`ix_${messages}_timestamp`]: `CREATE INDEX ix_${messages}_timestamp ON ${messages} (timestamp)`,
    });
  });

  it('find the messages of a queue by an index', async () => {
    const { tables } = await channelAndTables();
    const sql = 'SELECT id FROM kombu_message WHERE queue_id = ? AND visible = 1 ORDER BY id LIMIT 5';
    const plan = tables.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(1);
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/SEARCH kombu_message USING (COVERING )?INDEX celery_ts_waiting/),
    ]);
  });

  it('hold a message as kombu would: waiting, taken, given back', async () => {
    const { channel, tables } = await channelAndTables();
    const row = (): unknown =>
      tables.prepare('SELECT visible, timestamp, version, queue_id FROM kombu_message').get();
    await channel.publish(envelope('[]'), '', 'celery');
    expect(row()).toEqual({ visible: 1, timestamp: null, version: 1, queue_id: 1 });
    const delivery = await channel.get('celery');
    expect(row()).toMatchObject({
      visible: 0,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/) as string,
      version: 2,
    });
    await delivery?.reject({ requeue: true });
    expect(row()).toMatchObject({ visible: 1, timestamp: null, version: 3 });
    const again = await channel.get('celery');
    expect(again?.redelivered).toBe(true);
    await again?.ack();
    expect(row()).toBeUndefined();
  });

  it.each(['', 'a b', 'x; DROP TABLE y', 7])('may not be called %j', (name) => {
    const make = (): unknown =>
      sqliteTransport('sqlite:///x.db', { transportOptions: { queue_tablename: name } });
    expect(make).toThrow(ImproperlyConfigured);
    expect(make).toThrow(/queue_tablename takes a name/);
  });

  it.each([0, -1, '1', true])('are not polled every %j seconds', (seconds) => {
    const make = (): unknown =>
      sqliteTransport('sqlite:///x.db', { transportOptions: { polling_interval: seconds } });
    expect(make).toThrow(/polling_interval takes a number of seconds above 0/);
  });

  it('may hold rows that are no messages: they are handed on for the consumer to reject', async () => {
    const { channel, tables } = await channelAndTables();
    const insert = `INSERT INTO kombu_message (visible, payload, version, queue_id) VALUES (1, ?, 1, 1)`;
    tables.prepare(insert).run('not JSON');
    await channel.publish(envelope('good'), '', 'celery');
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take);
    const [bad, good] = await inbox.arrived(2);
    expect(bad?.envelope).toMatchObject({ contentType: 'application/data', headers: {} });
    expect(inbox.bodies).toEqual(['not JSON', 'good']);
    await bad?.reject({ requeue: false });
    await good?.ack();
    expect(tables.prepare('SELECT count(*) AS n FROM kombu_message').get()).toEqual({ n: 0 });
  });

  it('leave alone what a Python worker has taken', async () => {
    const { channel, tables } = await channelAndTables();
    await channel.publish(envelope('theirs', { properties: { priority: 9 } }), '', 'celery');
    await channel.publish(envelope('ours'), '', 'celery');
    tables.exec('UPDATE kombu_message SET visible = 0, version = 2 WHERE id = 1');
    expect((await channel.get('celery'))?.envelope.body.toString()).toBe('ours');
    expect(await channel.get('celery')).toBeUndefined();
    expect(await channel.purge('celery')).toBe(0);
    expect(tables.prepare('SELECT count(*) AS n FROM kombu_message').get()).toEqual({ n: 2 });
  });
});

describe('queues that end', () => {
  const names = (tables: Database): unknown[] =>
    tables
      .prepare('SELECT name FROM kombu_queue ORDER BY id')
      .all()
      .map(({ name }) => name);

  it('auto-delete: with their last consumer', async () => {
    const { channel, tables } = await channelAndTables();
    const reply = directQueue('reply', { autoDelete: true, noAck: true });
    await channel.declareQueue(reply);
    const consumers = [
      await channel.consume(reply, () => undefined),
      await channel.consume(reply, () => undefined),
    ];
    await consumers[0]?.[Symbol.asyncDispose]();
    expect(names(tables)).toEqual(['celery', 'reply']);
    await consumers[1]?.[Symbol.asyncDispose]();
    expect(names(tables)).toEqual(['celery']);
    expect(tables.prepare('SELECT queue FROM celery_ts_binding').all()).toEqual([{ queue: 'celery' }]);
  });

  it('exclusive: with their connection', async () => {
    const { tables } = await channelAndTables();
    const connection = await connect();
    const channel = await connection.openChannel();
    await channel.declareQueue(directQueue('mine', { exclusive: true }));
    await channel.publish(envelope('x'), '', 'mine');
    expect(names(tables)).toEqual(['celery', 'mine']);
    await connection[Symbol.asyncDispose]();
    expect(names(tables)).toEqual(['celery']);
    expect(tables.prepare('SELECT count(*) AS n FROM celery_ts_owner').get()).toEqual({ n: 0 });
  });

  it('keep messages for x-message-ttl only', async () => {
    const { channel, tables } = await channelAndTables();
    await channel.declareQueue(directQueue('short', { arguments: { 'x-message-ttl': 30 } }));
    await channel.publish(envelope('x'), '', 'short');
    expect(await channel.size('short')).toBe(1);
    await expect.poll(() => channel.size('short')).toBe(0);
    expect(await channel.get('short')).toBeUndefined();
    expect(tables.prepare('SELECT count(*) AS n FROM celery_ts_message').get()).toEqual({ n: 0 });
  });
});

describe('the holder of a lease', () => {
  const far = Date.now() + 60_000;

  it('lives as long as its connection, when it is this process', () => {
    const owner = newOwner();
    const row = { ...owner, expires_at: 0 };
    expect(isAlive(row, far)).toBe(true);
    ownerLeft(owner);
    expect(isAlive(row, far)).toBe(false);
  });

  it('lives as long as its process, on this machine', async () => {
    const { id, host } = newOwner();
    const child = spawn('sleep', ['60']);
    const row = { id, host, pid: child.pid ?? 0, started: '', expires_at: 0 };
    expect(isAlive(row, far)).toBe(true);
    // Another process that was given the number of a dead one.
    if (process.platform === 'linux') expect(isAlive({ ...row, started: '1' }, far)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(row, 0)).toBe(false);
  });

  it('lives until its lease is over, on another machine', () => {
    const row = { ...newOwner(), host: 'elsewhere', expires_at: 1_000 };
    expect(isAlive(row, 999)).toBe(true);
    expect(isAlive(row, 1_000)).toBe(false);
  });

  it('on another machine, dead: its messages and queues come to an end here', async () => {
    const { channel, tables } = await channelAndTables();
    await channel.publish(envelope('held'), '', 'celery');
    await channel.declareQueue(directQueue('theirs'));
    tables.exec(`
      UPDATE kombu_message SET visible = 0, version = 2;
      INSERT INTO celery_ts_owner VALUES ('other', 'elsewhere', 1, '1', ${Date.now() + 700});
      INSERT INTO celery_ts_lease VALUES (1, 'other');
      INSERT INTO celery_ts_queue VALUES ('theirs', 'other', NULL)`);
    const inbox = new Inbox();
    const before = Date.now();
    await channel.consume(queue, inbox.take);
    const [delivery] = await inbox.arrived(1);
    expect(Date.now() - before).toBeGreaterThan(300);
    expect(delivery?.redelivered).toBe(true);
    expect(tables.prepare(`SELECT 1 FROM kombu_queue WHERE name = 'theirs'`).get()).toBeUndefined();
  });

  it('taken for dead by mistake: its ack does not take the message from the next one', async () => {
    const { channel, tables } = await channelAndTables();
    await channel.publish(envelope('held'), '', 'celery');
    const delivery = await channel.get('celery');
    tables.exec(`UPDATE celery_ts_lease SET owner = 'other'`);
    await delivery?.ack();
    expect(tables.prepare('SELECT visible FROM kombu_message').get()).toEqual({ visible: 0 });
    await channel.publish(envelope('again'), '', 'celery');
    const second = await channel.get('celery');
    // Given back but not yet taken by anybody: done is done.
    tables.exec(
      `DELETE FROM celery_ts_lease WHERE owner <> 'other'; UPDATE kombu_message SET visible = 1 WHERE id = 2`,
    );
    await second?.ack();
    expect(tables.prepare('SELECT id FROM kombu_message').all()).toEqual([{ id: 1 }]);
  });
});

it('ends its connections when the file is removed', async () => {
  const { channel, connection } = await channelAndTables();
  await channel.consume(queue, () => undefined);
  await rm(path);
  expect(await connection.closed).toMatchObject({ name: 'OperationalError' });
  expect(await channel.closed).toMatchObject({ name: 'OperationalError' });
  await expect(channel.publish(envelope('x'), '', 'celery')).rejects.toThrow(/removed or replaced/);
  const fresh = await (await connect()).openChannel();
  await fresh.declareQueue(queue);
  await fresh.publish(envelope('x'), '', 'celery');
  expect(await fresh.size('celery')).toBe(1);
});
