import { describe, expect, it } from 'vitest';
import { AlreadyRegistered, Celery, ImproperlyConfigured } from '../../../src/index.ts';
import type { Settings, TaskOptions } from '../../../src/index.ts';
import type { AnyTaskOptions } from '../../../src/app/options.ts';
import { resolveTaskOptions } from '../../../src/app/annotations.ts';
import { resolveSettings } from '../../../src/settings/resolve.ts';

const definition = (options: TaskOptions = {}, name = 'tasks.add') => ({ name, run: () => null, options });
const defaults = resolveSettings([]);

describe('task options', () => {
  it('have the defaults of Celery', () => {
    const task = new Celery('a').task('t', () => null);
    expect(task.options).toMatchObject({
      bind: false,
      maxRetries: 3,
      defaultRetryDelay: 180,
      autoretryFor: [],
      retryBackoff: false,
      retryBackoffMax: 600,
      retryJitter: true,
      rateLimit: null,
      timeLimit: null,
      ignoreResult: false,
      serializer: 'json',
      acksLate: false,
      acksOnFailureOrTimeout: true,
      rejectOnWorkerLost: false,
      trackStarted: false,
      priority: null,
      typing: true,
    });
  });

  it.each<[keyof TaskOptions, keyof Settings, unknown, unknown]>([
    ['rateLimit', 'task_default_rate_limit', '10/m', '5/s'],
    ['timeLimit', 'task_time_limit', 30, 20],
    ['softTimeLimit', 'task_soft_time_limit', 30, 20],
    ['ignoreResult', 'task_ignore_result', true, false],
    ['storeErrorsEvenIfIgnored', 'task_store_errors_even_if_ignored', true, false],
    ['acksLate', 'task_acks_late', true, false],
    ['acksOnFailureOrTimeout', 'task_acks_on_failure_or_timeout', false, true],
    ['rejectOnWorkerLost', 'task_reject_on_worker_lost', true, false],
    ['trackStarted', 'task_track_started', true, false],
    ['priority', 'task_default_priority', 5, 1],
    ['compression', 'task_compression', 'gzip', 'zlib'],
  ])('%s comes from %s', (option, setting, value, own) => {
    const app = new Celery('a', { [setting]: value });
    const filled = app.task('filled', {}, () => null);
    const set = app.task('set', { [option]: own }, () => null);
    expect([filled.options[option], set.options[option]]).toEqual([value, own]);
  });

  it('null is no limit, not the default', () => {
    const task = new Celery('a', { task_default_rate_limit: '1/s' }).task(
      't',
      { rateLimit: null, maxRetries: null },
      () => null,
    );
    expect(task.options).toMatchObject({ rateLimit: null, maxRetries: null });
  });

  it('follow a change of the settings', () => {
    const app = new Celery('a');
    const task = app.task('t', () => null);
    expect(task.options.acksLate).toBe(false);
    app.conf.task_acks_late = true;
    expect(task.options.acksLate).toBe(true);
  });

  it('refuse what no task has', () => {
    expect(() => new Celery('a').task('t', { maxRetry: 1 } as TaskOptions, () => null)).toThrow(
      /'maxRetry'.*maxRetries/,
    );
  });

  it('belong to one task of a name', () => {
    const app = new Celery('a');
    app.task('t', () => null);
    expect(() => app.task('t', () => null)).toThrow(AlreadyRegistered);
  });
});

describe('task_annotations', () => {
  const annotated = (task_annotations: unknown, options: TaskOptions = {}): AnyTaskOptions =>
    resolveTaskOptions(definition(options), { ...defaults, task_annotations: task_annotations as never }).own;

  it.each<[string, unknown, TaskOptions, TaskOptions]>([
    ['by name', { 'tasks.add': { rate_limit: '10/m' } }, {}, { rateLimit: '10/m' }],
    ['for another task', { 'tasks.mul': { rate_limit: '10/m' } }, {}, {}],
    ['for all', { '*': { time_limit: 3 } }, {}, { timeLimit: 3 }],
    [
      'this task before all',
      { 'tasks.add': { time_limit: 4 }, '*': { time_limit: 3, priority: 1 } },
      {},
      { timeLimit: 4, priority: 1 },
    ],
    [
      'over what the task says',
      { 'tasks.add': { max_retries: null } },
      { maxRetries: 5, priority: 2 },
      { maxRetries: null, priority: 2 },
    ],
    ['in our names', { 'tasks.add': { rateLimit: 3 } }, {}, { rateLimit: 3 }],
    ['a list', [{ 'tasks.add': { priority: 1 } }, { 'tasks.add': { priority: 2 } }], {}, { priority: 2 }],
    [
      'an object of one’s own',
      [
        {
          annotate: (task: { name: string }) => ({ routing_key: task.name }),
          annotateAny: () => ({ priority: 3 }),
        },
      ],
      {},
      { routingKey: 'tasks.add', priority: 3 },
    ],
    ['an object that does not answer', [{ annotate: () => null }], {}, {}],
    ['a function', [(task: { name: string }) => ({ queue: task.name })], {}, { queue: 'tasks.add' }],
  ])('%s', (_, annotations, options, expected) => {
    expect(annotated(annotations, options)).toEqual(expected);
  });

  it.each<[string, unknown]>([
    ['an unknown attribute', { 'tasks.add': { rate_limits: '1/s' } }],
    ['bind', { 'tasks.add': { bind: true } }],
    ['no object', [3]],
    ['no object of attributes', { 'tasks.add': '10/m' }],
  ])('refuses %s', (_, annotations) => {
    expect(() => annotated(annotations)).toThrow(ImproperlyConfigured);
  });

  it('may be a function in the settings', () => {
    const app = new Celery('a', {
      task_annotations: [
        (task) => (task.name === 'slow' ? { rate_limit: '1/m' } : undefined),
        { '*': { priority: 2 } },
      ],
    });
    const [slow, fast] = [app.task('slow', () => null), app.task('fast', () => null)];
    expect([slow.options.rateLimit, slow.options.priority, fast.options.rateLimit]).toEqual(['1/m', 2, null]);
  });

  it('is checked by finalizeTasks', () => {
    const app = new Celery('a', { task_annotations: [{ annotate: () => ({ nonsense: 1 }) as never }] });
    app.task('t', () => null);
    expect(() => app.finalizeTasks()).toThrow(/nonsense/);
  });

  it('a backend of its own that does not exist is found by finalizeTasks', () => {
    const app = new Celery('a');
    app.task('t', { backend: 'nosuch://' }, () => null);
    expect(() => app.finalizeTasks()).toThrow(ImproperlyConfigured);
  });
});
