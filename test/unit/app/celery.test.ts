import { describe, expect, it } from 'vitest';
import { callerFile } from '../../../src/app/call-site.ts';
import { currentApp } from '../../../src/app/current.ts';
import * as index from '../../../src/index.ts';
import { Celery, ImproperlyConfigured, Retry, sharedTask } from '../../../src/index.ts';

describe('a task', () => {
  it('is the plain function, with a name and options', () => {
    const add = new Celery('a').task('tasks.add', { maxRetries: 7 }, (x: number, y: number) => x + y);
    expect([add(1, 1), add.name, add.options.maxRetries]).toEqual([2, 'tasks.add', 7]);
  });

  it('gets a self of its own when it is called as a function', async () => {
    const app = new Celery('a');
    const task = app.task('t', { bind: true }, async (self, n: number) => {
      await self.updateState('PROGRESS', n);
      self.logger.info('nowhere');
      return [
        self.name,
        self.request.calledDirectly,
        self.request.args,
        self.app === app,
        self.signal.aborted,
      ];
    });
    expect(await task(3)).toEqual(['t', true, [3], true, false]);
  });

  it('throws what it would retry for when it is called as a function', () => {
    const app = new Celery('a');
    const cause = new Error('cause');
    const task = app.task('t', { bind: true }, (self, exc?: Error) => {
      throw self.retry(exc === undefined ? {} : { exc });
    });
    expect(() => task(cause)).toThrow(cause);
    expect(() => task()).toThrow(Retry);
  });

  it('is found in the registry', () => {
    const app = new Celery('a');
    const task = app.task('t', () => 1);
    expect(app.tasks.get('t')).toBe(task);
    expect([...app.tasks.keys()].filter((name) => !name.startsWith('celery.'))).toEqual(['t']);
  });
});

describe('sharedTask', () => {
  it('is on every app, and calls go through the newest', () => {
    const before = new Celery('before');
    const shared = sharedTask('shared.task', (x: number) => x * 2);
    const after = new Celery('after', { task_acks_late: true });
    expect([before.tasks.has('shared.task'), after.tasks.has('shared.task')]).toEqual([true, true]);
    expect(currentApp()).toBe(after);
    expect([shared(4), shared.name, shared.options.acksLate]).toEqual([8, 'shared.task', true]);
  });
});

describe('modules with tasks', () => {
  it('come from the settings and autodiscoverTasks', () => {
    const app = new Celery('a', { imports: 'one', include: ['two'] });
    app.autodiscoverTasks(['shop', 'blog']);
    app.autodiscoverTasks(['whole'], null);
    expect(app.modulesToImport()).toEqual([
      { name: 'one', optional: false },
      { name: 'two', optional: false },
      { name: 'shop.tasks', optional: true },
      { name: 'blog.tasks', optional: true },
      { name: 'whole', optional: true },
    ]);
  });
});

it('opens nothing in the constructor and closes twice', async () => {
  const app = new Celery('a', { broker: 'nonsense://x' });
  await app.close();
  await app[Symbol.asyncDispose]();
  expect(() => app.transport()).toThrow(ImproperlyConfigured);
});

it('says how the arguments of a signature are written, also to plain JavaScript', () => {
  const app = new Celery('a');
  const args = { args: [2, 2] } as unknown as unknown[];
  expect(() => app.signature('t', args)).toThrow('signature(task, [2, 2], { countdown: 10 })');
  expect(app.signature('t', [2, 2]).toJSON()).toMatchObject({ task: 't', args: [2, 2] });
});

it('sees who calls, and leaves the stacks of others alone', () => {
  class Callee {
    readonly file = callerFile(Callee);
  }
  const before = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  expect(new Callee().file).toBe(import.meta.filename);
  expect(Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')).toEqual(before);
});

it('exports little, by name', () => {
  const names = Object.keys(index);
  expect(names).not.toContain('default');
  expect(names.length).toBeLessThanOrEqual(50);
  expect(index.states.SUCCESS).toBe('SUCCESS');
});
