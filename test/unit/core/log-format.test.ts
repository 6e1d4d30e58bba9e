import { expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import type { LogRecord } from '../../../src/core/log-format.ts';
import { compileLogFormat, parseLogLevel } from '../../../src/core/log-format.ts';

const record: LogRecord = {
  timeMs: new Date(2026, 0, 2, 3, 4, 5, 67).getTime(),
  level: 'INFO',
  name: 'celery',
  processName: 'MainProcess',
  message: 'Task 100% done',
};

it.each([
  [
    '[%(asctime)s: %(levelname)s/%(processName)s] %(message)s',
    '[2026-01-02 03:04:05,067: INFO/MainProcess] Task 100% done',
  ],
  ['%(task_name)s[%(task_id)s]: %(message)s', '???[???]: Task 100% done'],
  ['%(levelname)-8s|%(levelname)8s|', 'INFO    |    INFO|'],
  ['%(levelno)d %(name)s %(process)d', `20 celery ${process.pid}`],
  ['%(msecs)03d %(created).3f %(message).4s', `067 ${(record.timeMs / 1000).toFixed(3)} Task`],
  ['100%% %(levelname)s%%', '100% INFO%'],
  ['plain', 'plain'],
  ['', ''],
])('%s', (format, line) => {
  expect(compileLogFormat(format)(record)).toBe(line);
});

it('knows the task and follows the clock', () => {
  const format = compileLogFormat('%(asctime)s %(task_name)s[%(task_id)s]');
  const task = { ...record, taskName: 'tasks.add', taskId: 'id1' };
  expect(format(task)).toBe('2026-01-02 03:04:05,067 tasks.add[id1]');
  expect(format({ ...task, timeMs: task.timeMs + 932 })).toBe('2026-01-02 03:04:05,999 tasks.add[id1]');
  expect(format({ ...task, timeMs: task.timeMs + 933 })).toBe('2026-01-02 03:04:06,000 tasks.add[id1]');
});

it.each(['%(module)s', '%(constructor)s', '%s', '50%', '%(message)', '%(message)q'])(
  'refuses %s',
  (format) => {
    expect(() => compileLogFormat(format)).toThrow(ImproperlyConfigured);
    expect(() => compileLogFormat(format)).toThrow('It takes %(asctime)s, ');
  },
);

it.each([
  ['info', 'INFO'],
  ['Warn', 'WARNING'],
  ['FATAL', 'CRITICAL'],
  ['CRITICAL', 'CRITICAL'],
  ['verbose', undefined],
  ['', undefined],
])('level %s', (name, level) => {
  expect(parseLogLevel(name)).toBe(level);
});
