import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { managedBindings } from '../../src/transport/amqp/management.ts';
import { runCli, startCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import type { Project } from '../support/project.ts';
import { createProject, TASKS } from '../support/project.ts';

const projects: Project[] = [];
let made: Project;

/** Output as Celery prints it, with its broker in place of ours. */
async function cli(line: string, input?: string): Promise<CliResult> {
  const options = { cwd: made.folder, ...(input !== undefined && { input }) };
  const result = await runCli(['-A', 'tasks', ...line.split(' ')], options);
  return { ...result, stdout: result.stdout.replaceAll('sqlite:///celery.db', 'redis://127.0.0.1:6379/11') };
}

const PROGRAM = resolve(import.meta.dirname, '../../bin/celery-ts.js');

/** The program that gives a command a terminal. */
function hasScript(): boolean {
  return spawnSync('script', ['--version']).status === 0;
}

const CONNECTED = '-> connecting to redis://127.0.0.1:6379/11.\n-> connected.\n';
const call = (args: string): Promise<CliResult> => cli(`call tasks.add -a ${args}`);
const ok = (stdout: string) => ({ code: 0, signal: null, stdout, stderr: '' });

beforeEach(() => {
  made = createProject({ 'tasks.ts': TASKS });
  projects.push(made);
});

afterAll(() => {
  for (const each of projects) each.remove();
});

describe.runIf(hasScript())('purge', () => {
  it('shows on a terminal how far it is, and takes that away at the end', async () => {
    await call('[1,2]');
    await cli('call tasks.add -a [1,2] --queue other');
    const command = `${process.execPath} ${PROGRAM} -A tasks purge -f -Q celery,other,third`;
    const { code, stdout } = await runCli([command, '/dev/null'], {
      ...{ cwd: made.folder, node: 'script', program: '-qec', env: { NO_COLOR: '1' } },
    });
    const wipe = '\r\u001b[K';
    expect([code, stdout.split(wipe)]).toEqual([
      0,
      [
        '',
        'Purging queue 1/3: celery (0 messages)',
        'Purging queue 2/3: other (1 message)',
        'Purging queue 3/3: third (2 messages)',
        'Purged 2 messages from 3 known task queues.\r\n',
      ],
    ]);
  });
});

describe.runIf(hasScript())('call --count', () => {
  it('sends many, prints their ids, and shows on a terminal how far it is', async () => {
    const command = `${process.execPath} ${PROGRAM} -A tasks call tasks.add -a [1,2] --count 1200 > ids`;
    const { code, stdout } = await runCli([command, '/dev/null'], {
      ...{ cwd: made.folder, node: 'script', program: '-qec', env: { NO_COLOR: '1' } },
    });
    const texts = ['', 'Sent 0 of 1200 tasks', 'Sent 500 of 1200 tasks', 'Sent 1000 of 1200 tasks', ''];
    expect([code, stdout.split('\r\u001b[K')]).toEqual([0, texts]);
    const ids = readFileSync(made.path('ids'), 'utf8').trimEnd().split('\n');
    expect(new Set(ids).size).toBe(1200);
    expect(await cli('purge -f')).toEqual(ok('Purged 1200 messages from 1 known task queue.\n'));
  });
});

describe('list bindings', () => {
  it('prints the table', async () => {
    expect(await cli('list bindings')).toEqual(
      ok(
        'Queue                        Exchange                     Routing Key\n' +
          '----------------             ----------------             ----------------\n' +
          'celery                       celery                       celery\n',
      ),
    );
    expect((await cli('list bindings -j')).stdout).toBe(
      '[{"queue": "celery", "exchange": "celery", "routing_key": "celery"}]\n',
    );
  });

  it('asks the management plugin of RabbitMQ', async () => {
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url, request.headers.authorization);
      response.statusCode = asked.length > 2 ? 401 : 200;
      const row = { source: 'ex', destination: 'q', destination_type: 'queue', routing_key: 'rk' };
      response.end(JSON.stringify([row, { ...row, destination_type: 'exchange' }]));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const management = { url, user: 'guest', password: 'guest', vhost: '/' };
    try {
      expect(await managedBindings(management)).toEqual([{ queue: 'q', exchange: 'ex', routingKey: 'rk' }]);
      expect(asked).toEqual(['/api/bindings/%2F', 'Basic Z3Vlc3Q6Z3Vlc3Q=']);
      await expect(managedBindings(management)).rejects.toThrow(/refuses: 401.*tag `management`/s);
    } finally {
      server.close();
    }
    await expect(managedBindings(management)).rejects.toThrow('rabbitmq-plugins enable rabbitmq_management');
  });
});

describe('amqp', () => {
  it('prints what Celery prints', async () => {
    await call('[1,2]');
    await call('[3,4]');
    expect(await cli('amqp queue.declare celery')).toEqual(
      ok(`${CONNECTED}queue:celery messages:2 consumers:0\nOK\n`),
    );
    expect((await cli('amqp queue.declare celery -j')).stdout).toBe(
      '{"queue": "celery", "messages": 2, "consumers": 0}\n',
    );
    const taken = await cli('amqp basic.get celery');
    expect(taken.stdout).toContain(`{'body': '[[1,2],{},{"callbacks":null`);
    expect(await cli('amqp queue.purge celery')).toEqual(ok(`${CONNECTED}2 messages deleted.\nOK\n`));
    expect(await cli('amqp basic.get celery')).toEqual(
      ok(`${CONNECTED}No messages in queue. basic.publish something.\nOK\n`),
    );
    const refused = await cli('amqp queue.declare nosuch true');
    expect(refused).toMatchObject({ code: 1, stderr: "ERROR: there is no queue 'nosuch'\n" });
  });

  it('reads commands line by line, and goes on after one that fails', async () => {
    const shell = await cli(
      'amqp',
      [
        'exchange.declare ex topic 0 1',
        'queue.declare q no yes',
        'queue.bind q ex a.#',
        'basic.publish "two words" ex a.b',
        'queue.declre q',
        'queue.declare q perhaps',
        'exchange.delete ex true',
        'basic.get q',
        'basic.ack 1',
        'basic.ack 1',
        'queue.delete q',
        'exit',
        'never read',
      ].join('\n'),
    );
    expect(shell.stderr).toBe(
      "No such command 'queue.declre'. Did you mean 'queue.declare'?\n" +
        'Usage: queue.declare QUEUE [PASSIVE] [DURABLE] [AUTO_DELETE]\n\n' +
        "Error: Invalid value for 'PASSIVE': 'perhaps' is not a valid boolean.\n" +
        "ERROR: exchange 'ex' is in use: queues are bound to it\n" +
        'ERROR: there is no unacknowledged message 1\n',
    );
    expect(shell.code).toBe(0);
    expect(shell.stdout.match(/^OK$/gm)).toHaveLength(7);
    expect(shell.stdout).toContain(
      "{'body': 'two words',\n 'delivery_info': {'delivery_tag': 1, 'exchange': 'ex',",
    );
    expect(shell.stdout).toContain('\n0 messages deleted.\nOK\n');
  });
});

describe('migrate', () => {
  const LINES =
    "Migrating task 1/2: [[1, 2], {}, {'callbacks': None, 'errbacks': None, 'chain': None, 'chord': None}]\n" +
    "Migrating task 2/2: [[3, 4], {}, {'callbacks': None, 'errbacks': None, 'chain': None, 'chord': None}]\n";
  const waiting = async (broker: string, queue: string): Promise<unknown> => {
    const result = await cli(`-b ${broker} amqp queue.declare ${queue} true -j`);
    return (JSON.parse(result.stdout) as { messages: unknown }).messages;
  };

  it('copies, and moves when asked', async () => {
    await call('[1,2]');
    await call('[3,4]');
    expect(await cli('migrate sqlite:///celery.db sqlite:///copy.db')).toEqual(
      ok(`${LINES}Restoring 2 unacknowledged message(s)\n`),
    );
    expect([
      await waiting('sqlite:///celery.db', 'celery'),
      await waiting('sqlite:///copy.db', 'celery'),
    ]).toEqual([2, 2]);
    expect(await cli('migrate sqlite:///celery.db sqlite:///moved.db -a -Q celery:other')).toEqual(ok(LINES));
    expect([
      await waiting('sqlite:///celery.db', 'celery'),
      await waiting('sqlite:///moved.db', 'other'),
    ]).toEqual([0, 2]);
    // A worker there runs them.
    const worker = startCli(
      ['-A', 'tasks', '-b', 'sqlite:///moved.db', 'worker', '-Q', 'other', '-c', '1', '-l', 'INFO'],
      {
        cwd: made.folder,
      },
    );
    await worker.waitFor(
      (stdout) => stdout !== '' && /succeeded in .*: 3[^]*succeeded in .*: 7/.test(worker.output),
    );
    worker.kill('SIGTERM');
    await worker.ended;
  });

  it('takes only the tasks, the queues and the number that are asked for', async () => {
    await call('[1,2]');
    await cli('call tasks.sleep -a [0]');
    expect((await cli('migrate sqlite:///celery.db sqlite:///a.db -a -T tasks.sleep -j')).stdout).toBe(
      '{"migrated": 1, "restored": 1}\n',
    );
    await call('[3,4]');
    expect((await cli('migrate sqlite:///celery.db sqlite:///b.db -a -n 1 -j')).stdout).toBe(
      '{"migrated": 1, "restored": 0}\n',
    );
    const left = await cli('migrate sqlite:///celery.db sqlite:///c.db -Q nosuch -j');
    expect(left).toMatchObject({ code: 0, stdout: '{"migrated": 0, "restored": 0}\n' });
    expect(left.stderr).toContain('Queue nosuch is left out');
  });

  it('gives back what it holds when Ctrl-C ends it', async () => {
    await call('[1,2]');
    const args = ['-A', 'tasks', 'migrate', 'sqlite:///celery.db', 'sqlite:///d.db', '--forever'];
    const running = startCli(args, { cwd: made.folder });
    await running.waitFor('Migrating task 1/1');
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 1, stderr: 'Aborted!\n' });
    expect(await waiting('sqlite:///celery.db', 'celery')).toBe(1);
  });
});
