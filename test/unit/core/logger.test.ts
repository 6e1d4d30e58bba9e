import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import type { Logger, LoggerOptions } from '../../../src/core/logger.ts';
import { createLogger, nullLogger } from '../../../src/core/logger.ts';

const FORMAT = '[%(asctime)s: %(levelname)s/%(processName)s] %(message)s';
const TASK_FORMAT = '[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s';
const STAMP = /\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: /g;

let folder: string;
let file: string;
let open: Logger[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'celery-log-'));
  file = join(folder, 'worker.log');
  open = [];
});

afterEach(() => {
  vi.useRealTimers();
  for (const logger of open) logger.close();
  rmSync(folder, { recursive: true });
});

function logger(options: Partial<LoggerOptions> = {}): Logger {
  const made = createLogger({
    level: 'INFO',
    format: FORMAT,
    taskFormat: TASK_FORMAT,
    destination: file,
    processName: 'MainProcess',
    color: false,
    ...options,
  });
  open.push(made);
  return made;
}

/** What is in the file, without the times. */
function written(path = file): string {
  return readFileSync(path, 'utf8').replace(STAMP, '[');
}

describe('Logger', () => {
  it('writes lines in Celery’s format, from its level on', () => {
    const log = logger();
    log.debug('hidden');
    log.info('Task tasks.add[id] received');
    log.warning('careful');
    log.error('bad');
    log.critical('worse');
    log.withProcess('ForkPoolWorker-2').info('from a child');
    expect(readFileSync(file, 'utf8')).toMatch(STAMP);
    expect(written().split('\n')).toEqual([
      '[INFO/MainProcess] Task tasks.add[id] received',
      '[WARNING/MainProcess] careful',
      '[ERROR/MainProcess] bad',
      '[CRITICAL/MainProcess] worse',
      '[INFO/ForkPoolWorker-2] from a child',
      '',
    ]);
    expect([log.level, log.isEnabled('DEBUG'), log.isEnabled('INFO')]).toEqual(['INFO', false, true]);
  });

  it('appends the stack of an error with its causes, and a traceback as it is', () => {
    const log = logger();
    log.error('failed', new TypeError('outer', { cause: new RangeError('inner') }));
    log.error('failed remotely', 'Traceback (most recent call last):\nValueError: boom\n');
    const lines = written().split('\n');
    expect(lines[1]).toBe('TypeError: outer');
    expect(lines[2]).toMatch(/^ {4}at /);
    expect(lines).toContain('Caused by: RangeError: inner');
    expect(lines.slice(-3)).toEqual(['Traceback (most recent call last):', 'ValueError: boom', '']);
  });

  it('ends with an error that is its own cause', () => {
    const log = logger();
    const error = new Error('loop');
    error.cause = error;
    log.error('failed', error);
    expect(written().match(/Caused by/g)).toHaveLength(10);
  });

  it('colours whole lines as Celery does', () => {
    const log = logger({ color: true });
    log.info('plain');
    log.warning('yellow');
    log.error('red', 'Traceback');
    log.forTask('t', 'i').fatal('magenta');
    expect(written()).toBe(
      '[INFO/MainProcess] plain\n' +
        '\u001b[1;33m[WARNING/MainProcess] yellow\u001b[0m\n' +
        '\u001b[1;31m[ERROR/MainProcess] red\nTraceback\u001b[0m\n' +
        '\u001b[1;35m[CRITICAL/MainProcess] t[i]: magenta\u001b[0m\n',
    );
  });

  it('names path and user when the file cannot be written', () => {
    const bad = join(folder, 'missing', 'x.log');
    expect(() => logger({ destination: bad })).toThrow(ImproperlyConfigured);
    expect(() => logger({ destination: bad })).toThrow(`cannot write log file ${bad} as user `);
  });

  it('refuses a format with unknown fields before it opens anything', () => {
    expect(() => logger({ format: '%(nope)s' })).toThrow('%(nope)s is not known');
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('goes on in a new file within a second when the old one was moved or deleted', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const log = logger();
    log.info('one');
    renameSync(file, `${file}.1`);
    log.info('two');
    vi.setSystemTime(Date.now() + 1000);
    log.info('three');
    expect(written(`${file}.1`)).toBe('[INFO/MainProcess] one\n[INFO/MainProcess] two\n');
    expect(written()).toBe('[INFO/MainProcess] three\n');
    rmSync(file);
    vi.setSystemTime(Date.now() + 1000);
    log.info('four');
    expect(written()).toBe('[INFO/MainProcess] four\n');
  });

  it('closes twice', () => {
    const log = logger();
    log.info('x');
    log.close();
    log.close();
  });
});

describe('TaskLogger', () => {
  it('puts task, message, fields and stack on the line', () => {
    const log = logger({ processName: 'ForkPoolWorker-1' });
    const task = log.forTask('tasks.fetch_page', 'id1');
    task.info({ url: 'http://x' }, 'fetched');
    task.info('%s of %d', 'one', 2);
    task.warning('in Celery’s word');
    task.warn('in pino’s');
    task.critical({ task_id: 'a field of that name' });
    task.child({ step: 3 }).error(new RangeError('broken'), 'failed');
    task.debug('hidden');
    log.forTask('tasks.other', 'id2').info('another');
    const lines = written().split('\n');
    expect(lines.filter((line) => line.startsWith('['))).toEqual([
      '[INFO/ForkPoolWorker-1] tasks.fetch_page[id1]: fetched {"url":"http://x"}',
      '[INFO/ForkPoolWorker-1] tasks.fetch_page[id1]: one of 2',
      '[WARNING/ForkPoolWorker-1] tasks.fetch_page[id1]: in Celery’s word',
      '[WARNING/ForkPoolWorker-1] tasks.fetch_page[id1]: in pino’s',
      '[CRITICAL/ForkPoolWorker-1] tasks.fetch_page[id1]: {"task_id":"a field of that name"}',
      '[ERROR/ForkPoolWorker-1] tasks.fetch_page[id1]: failed {"step":3}',
      '[INFO/ForkPoolWorker-1] tasks.other[id2]: another',
    ]);
    expect(lines[6]).toBe('RangeError: broken');
  });

  it.each([
    ['DEBUG', ['DEBUG', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']],
    ['WARNING', ['WARNING', 'ERROR', 'CRITICAL']],
    ['CRITICAL', ['CRITICAL']],
  ] as const)('drops what is below %s', (level, levels) => {
    const task = logger({ level, taskFormat: '%(levelname)s' }).forTask('t', 'i');
    for (const method of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) task[method]('x');
    expect(written().trim().split('\n')).toEqual(levels);
  });

  it('of the null logger takes everything and writes nothing', () => {
    nullLogger.error('x', new Error('y'));
    nullLogger.withProcess('x').forTask('t', 'i').error({ a: 1 }, 'x');
    expect(nullLogger.isEnabled('CRITICAL')).toBe(false);
  });
});

/** Runs a program that logs `count` long lines and ends at once; `reader` reads what it writes to stderr. */
function pipe(count: number, reader: string, destination = NON_BLOCKING_STDERR): string {
  const source = `
    import { constants, openSync } from 'node:fs';
    import { createLogger } from ${JSON.stringify(new URL('../../../src/core/logger.ts', import.meta.url).href)};
    const log = createLogger({ level: 'INFO', format: '%(message)s', taskFormat: '%(message)s',
      destination: ${destination}, processName: 'x', color: false });
    for (let i = 0; i < ${count}; i++) log.info(i + ' ' + 'ä'.repeat(${LINE_LENGTH}));
    process.exit(3);`;
  const command = `'${process.execPath}' "$@" 2>&1 >/dev/null | (${reader}); echo \${PIPESTATUS[0]}`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', source];
  return execFileSync('bash', ['-c', command, 'bash', ...args], { encoding: 'utf8', maxBuffer: 1e8 });
}

const NON_BLOCKING_STDERR = "openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK)";

// Longer than the 4096 bytes that a pipe takes whole or not at all, so that some lines are cut.
const LINE_LENGTH = 5000;

describe('to a pipe', () => {
  it('loses no line at exit although the reader is slow', () => {
    const lines = pipe(500, 'sleep 1; cat').trimEnd().split('\n');
    expect(lines.pop()).toBe('3');
    const whole = Array.from({ length: 500 }, (_, i) => `${i} ${'ä'.repeat(LINE_LENGTH)}`);
    // Compared by identity: a difference would print megabytes.
    expect(lines.findIndex((line, i) => line !== whole[i])).toBe(-1);
    expect(lines).toHaveLength(500);
  });

  it('survives that nobody reads', () => {
    expect(pipe(200, 'true').trimEnd().split('\n').at(-1)).toBe('3');
  });

  it.each([
    ['says once that the file cannot be written, and goes on with stderr', 'cut -c -60', 4],
    ['survives a full disk while nobody reads stderr', 'true', 0],
  ])('%s', (_, reader, count) => {
    const lines = pipe(3, reader, "'/dev/full'").trimEnd().split('\n');
    expect(lines.pop()).toBe('3');
    expect(lines).toHaveLength(count);
    if (count > 0) expect(lines[0]).toMatch(/^cannot write log file \/dev\/full: ENOSPC/);
  });
});

it('costs few microseconds a line', () => {
  const log = logger();
  const count = 20_000;
  // Time of this process, not of the clock: the machine may be busy with other tests.
  const start = process.cpuUsage();
  for (let i = 0; i < count; i += 1)
    log.info('Task tasks.add[e11473f7-f90b-450d-8b2a-75d12f1c1313] received');
  const { user, system } = process.cpuUsage(start);
  // 3 measured on an idle machine; far above it something is wrong, such as a stat for each line.
  expect((user + system) / count).toBeLessThan(30);
});
