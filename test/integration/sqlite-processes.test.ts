import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Releasers } from '../../src/core/lifecycle.ts';
import { openDatabase } from '../../src/sqlite/driver.ts';
import { sqliteTransport } from '../../src/transport/sqlite/transport.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { directQueue, envelope } from '../support/messages.ts';

interface PeerMessage {
  readonly kind: 'ready' | 'delivery' | 'control' | 'cpu';
  readonly body?: string;
  readonly redelivered?: boolean;
  readonly at?: number;
  readonly cpu?: NodeJS.CpuUsage;
}

/** Another process that consumes the queue; see test/support/sqlite-peer.js. */
class Peer {
  readonly process: ChildProcess;
  readonly messages: PeerMessage[] = [];
  #arrived: (() => void) | undefined;

  constructor(url: string, mode: 'ack' | 'hold', window: number) {
    this.process = fork(resolve('test/support/sqlite-peer.js'), [url, mode, String(window)]);
    this.process.on('message', (message: PeerMessage) => {
      this.messages.push(message);
      this.#arrived?.();
    });
  }

  of(kind: PeerMessage['kind']): PeerMessage[] {
    return this.messages.filter((message) => message.kind === kind);
  }

  get bodies(): (string | undefined)[] {
    return this.of('delivery').map(({ body }) => body);
  }

  /** Resolves when there are `count` messages of a kind. */
  async has(kind: PeerMessage['kind'], count = 1): Promise<PeerMessage[]> {
    while (this.of(kind).length < count) await new Promise<void>((arrived) => (this.#arrived = arrived));
    return this.of(kind);
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exit;
  }

  async close(): Promise<void> {
    const exit = once(this.process, 'exit');
    this.process.send('close');
    await exit;
  }
}

let folder: string;
let path: string;
let own: Releasers;
let channel: Channel;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
  path = join(folder, 'broker.db');
  own = new Releasers();
  const transport = sqliteTransport(`sqlite:///${path}`, { transportOptions: {} });
  const connection = own.own(await transport.connect(new AbortController().signal));
  channel = own.own(await connection.openChannel());
  await channel.declareQueue(directQueue('celery'));
});
afterEach(async () => {
  await own.release();
  await rm(folder, { recursive: true });
});

async function peer(mode: 'ack' | 'hold', window = 50): Promise<Peer> {
  const started = new Peer(`sqlite:///${path}`, mode, window);
  own.push(() => started.kill());
  await started.has('ready');
  return started;
}

const publish = (count: number, first = 0): Promise<unknown> =>
  Promise.all(
    Array.from({ length: count }, (_, index) => channel.publish(envelope(`${first + index}`), '', 'celery')),
  );
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const ascending = (bodies: readonly (string | undefined)[]): number[] =>
  bodies.map(Number).sort((a, b) => a - b);

describe('a consumer that is killed', () => {
  it('gives back what it held, soon, and nobody gets it before', async () => {
    const holder = await peer('hold', 30);
    await publish(100);
    await holder.has('delivery', 30);
    const heir = await peer('ack');
    await heir.has('delivery', 70);
    await pause(1_200);
    expect(ascending([...holder.bodies, ...heir.bodies])).toEqual([...Array(100).keys()]);

    const killedAt = Date.now();
    await holder.kill();
    const deliveries = await heir.has('delivery', 100);
    expect(Date.now() - killedAt).toBeLessThan(2_000);
    expect(ascending(heir.bodies)).toEqual([...Array(100).keys()]);
    const back = deliveries.slice(70);
    expect(ascending(back.map(({ body }) => body))).toEqual(ascending(holder.bodies));
    expect(back.every(({ redelivered }) => redelivered)).toBe(true);
    await expect.poll(() => channel.size('celery')).toBe(0);
  });

  it('leaves no queue of its own behind', async () => {
    const gone = await peer('hold');
    const tables = openDatabase(path);
    own.push(() => tables.close());
    const queues = (): unknown => tables.prepare('SELECT count(*) AS n FROM kombu_queue').get();
    expect(queues()).toEqual({ n: 2 });
    await gone.kill();
    await peer('ack');
    await expect.poll(queues).toEqual({ n: 2 });
    expect(
      tables.prepare(`SELECT 1 FROM kombu_queue WHERE name = ?`).get(`peer-${gone.process.pid}`),
    ).toBeUndefined();
  });
});

it('a consumer that is blocked keeps what it holds', async () => {
  const holder = await peer('hold', 5);
  await publish(5);
  await holder.has('delivery', 5);
  holder.process.send('block');
  const heir = await peer('ack');
  await pause(1_500);
  expect(heir.bodies).toEqual([]);
});

it('a consumer that closes gives back at once', async () => {
  const holder = await peer('hold', 5);
  await publish(5);
  await holder.has('delivery', 5);
  const heir = await peer('ack');
  await holder.close();
  await heir.has('delivery', 5);
  expect(ascending(heir.bodies)).toEqual([0, 1, 2, 3, 4]);
});

it('each message goes to one of many processes', async () => {
  const peers = await Promise.all(Array.from({ length: 3 }, () => peer('ack', 7)));
  const total = 600;
  for (let first = 0; first < total; first += 50) await publish(50, first);
  const bodies = (): (string | undefined)[] => peers.flatMap((each) => each.bodies);
  await expect.poll(() => bodies().length, { timeout: 20_000 }).toBe(total);
  await expect.poll(() => channel.size('celery')).toBe(0);
  expect(ascending(bodies())).toEqual([...Array(total).keys()]);
});

it('a fanout exchange reaches every process', async () => {
  const peers = await Promise.all([peer('ack'), peer('ack')]);
  await channel.publish(envelope('ping', { properties: { deliveryMode: 1 } }), 'celery.pidbox', '');
  for (const each of peers) expect(await each.has('control')).toMatchObject([{ body: 'ping' }]);
});

it('wakes another process within 50 ms, and costs next to nothing while idle', async () => {
  const waiting = await peer('ack');
  const delays: number[] = [];
  for (let index = 0; index < 40; index += 1) {
    await pause(20 + (index % 7) * 9);
    await channel.publish(envelope(`${index}`), '', 'celery');
    const committed = performance.timeOrigin + performance.now();
    const { at = Infinity } = (await waiting.has('delivery', index + 1))[index] ?? {};
    delays.push(at - committed);
  }
  delays.sort((a, b) => a - b);
  // The median: single ones wait for the processor on a busy machine.
  expect(delays[20]).toBeLessThan(50);

  await pause(1_000);
  const used = async (index: number): Promise<number> => {
    waiting.process.send('cpu');
    const { cpu } = (await waiting.has('cpu', index)).at(-1) ?? {};
    return (cpu?.user ?? Infinity) + (cpu?.system ?? 0);
  };
  const before = await used(1);
  await pause(5_000);
  expect(((await used(2)) - before) / 5e6).toBeLessThan(0.01);
}, 60_000);

describe('a process of its own', () => {
  const script = (body: string): string =>
    `import { openDatabase } from '${resolve('build/sqlite/driver.js')}';
     import { openSqliteFile } from '${resolve('build/sqlite/file.js')}';
     ${body}`;
  const run = (body: string): Promise<{ out: string; err: string; code: number }> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script(body)]);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    return once(child, 'close').then(([code]) => ({ out, err, code: code as number }));
  };

  it('prints no warning about SQLite, but those of others', async () => {
    const file = JSON.stringify(join(folder, 'x.db'));
    const { out, err } = await run(`
      openDatabase(${file}).close();
      console.log('opened');
      process.emitWarning('SQLite of somebody else', 'ExperimentalWarning');`);
    expect(out).toBe('opened\n');
    expect(err.match(/ExperimentalWarning/g)).toHaveLength(1);
    expect(err).toContain('somebody else');
  });

  it('ends by itself when nobody waits, also with the file open', async () => {
    const { out, code } = await run(`
      const file = await openSqliteFile(${JSON.stringify(path)});
      await file.write(() => undefined);
      console.log('done');`);
    expect([out, code]).toEqual(['done\n', 0]);
  });

  it.runIf(process.getuid?.() === 0)('of another user is told which path and who it is', async () => {
    await chmod(folder, 0o755);
    // It becomes that user after its modules are loaded, which may lie where only root can read.
    const { out } = await run(`
      process.setgid(65534);
      process.setuid(65534);
      await openSqliteFile(${JSON.stringify(path)}).catch((error) => console.log(String(error)));`);
    expect(out).toContain(`ImproperlyConfigured: SQLite database ${path}: user nobody (uid 65534) may not`);
  });
});

it('is readable by the sqlite3 of Python while in use', async () => {
  await publish(3);
  const python =
    'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("select count(*) from kombu_message").fetchone()[0])';
  expect(execFileSync('python3', ['-c', python, path]).toString().trim()).toBe('3');
});
