import { describe, expectTypeOf, test } from 'vitest';
import { Celery, sharedTask } from '../../src/index.ts';
import type { AnyTask, AsyncResult, Task, TaskContext } from '../../src/index.ts';

const app = new Celery('types');
const add = app.task('tasks.add', (x: number, y: number) => x + y);
const fetchPage = app.task(
  'tasks.fetch_page',
  { bind: true, maxRetries: 5, autoretryFor: [TypeError], rateLimit: '10/m' },
  async (self, url: string) => {
    expectTypeOf(self).toEqualTypeOf<TaskContext>();
    await self.updateState('PROGRESS', { current: 1 });
    return url.length;
  },
);

describe('app.task', () => {
  test('parameters and result flow into the task', () => {
    expectTypeOf(add).toEqualTypeOf<Task<[x: number, y: number], number>>();
    expectTypeOf(add(1, 1)).toEqualTypeOf<number>();
    expectTypeOf(add.name).toEqualTypeOf<string>();
  });

  test('an async function gives the value it resolves to', () => {
    const task = app.task('a', async (name: string) => Promise.resolve({ name }));
    expectTypeOf(task.delay('x')).resolves.toEqualTypeOf<AsyncResult<{ name: string }>>();
    expectTypeOf(task('x')).toEqualTypeOf<Promise<{ name: string }>>();
  });

  test('bind takes the first parameter away', () => {
    expectTypeOf<Parameters<typeof fetchPage.delay>>().toEqualTypeOf<[url: string]>();
    expectTypeOf(fetchPage.delay('u')).resolves.toEqualTypeOf<AsyncResult<number>>();
    // @ts-expect-error -- `self` is not given by the caller
    void fetchPage.delay({} as TaskContext, 'u');
  });

  test('a function that is not bound keeps its first parameter', () => {
    const task = app.task('plain', { maxRetries: null }, (self: string, n: number) => self.repeat(n));
    expectTypeOf<Parameters<typeof task.delay>>().toEqualTypeOf<[self: string, n: number]>();
    void task.delay('a', 1);
  });

  test('a task without parameters', () => {
    const task = app.task('none', () => null);
    expectTypeOf<Parameters<typeof task.delay>>().toEqualTypeOf<[]>();
    void task.applyAsync();
    void task.applyAsync([], { countdown: 1 });
    // @ts-expect-error -- it takes none
    void task.delay(1);
  });

  test('every task is an AnyTask', () => {
    expectTypeOf(add).toExtend<AnyTask>();
    expectTypeOf(fetchPage).toExtend<AnyTask>();
    expectTypeOf(app.tasks.get('x')).toEqualTypeOf<AnyTask | undefined>();
  });

  test('options that do not exist do not compile', () => {
    // @ts-expect-error -- maxRetries
    app.task('t', { maxRetry: 5 }, (x: number) => x);
    // @ts-expect-error -- maxRetries, also beside bind
    app.task('t', { bind: true, maxRetry: 5 }, (self, x: number) => x);
    // @ts-expect-error -- a number or null
    app.task('t', { maxRetries: '5' }, (x: number) => x);
    // @ts-expect-error -- classes of errors
    app.task('t', { autoretryFor: ['TypeError'] }, (x: number) => x);
    // @ts-expect-error -- snake_case is for settings
    app.task('t', { rate_limit: '10/m' }, (x: number) => x);
  });
});

describe('delay', () => {
  test('wrong arguments do not compile', () => {
    void add.delay(4, 4);
    // @ts-expect-error -- a string for a number
    void add.delay('4', 4);
    // @ts-expect-error -- too few
    void add.delay(4);
    // @ts-expect-error -- too many
    void add.delay(4, 4, 4);
  });

  test('optional and default parameters may be left out', () => {
    const greet = app.task(
      'greet',
      (name: string, greeting = 'Hello', mark?: string) => `${greeting} ${name}${mark ?? ''}`,
    );
    void greet.delay('a');
    void greet.delay('a', 'b');
    void greet.delay('a', 'b', '!');
    void greet.applyAsync(['a']);
    // @ts-expect-error -- greeting is a string
    void greet.delay('a', 1);
  });

  test('rest parameters', () => {
    const sum = app.task('sum', (label: string, ...numbers: number[]) => label + String(numbers.length));
    void sum.delay('a');
    void sum.delay('a', 1, 2, 3);
    // @ts-expect-error -- numbers
    void sum.delay('a', 1, '2');
  });

  test('a destructured parameter is one object', () => {
    const resize = app.task(
      'resize',
      ({ width, height = 1 }: { width: number; height?: number }) => width * height,
    );
    void resize.delay({ width: 3 });
    // @ts-expect-error -- width is missing
    void resize.delay({ height: 3 });
  });
});

describe('applyAsync', () => {
  test('takes the arguments as a list and options', () => {
    void add.applyAsync([4, 4], {
      countdown: 10,
      expires: 120,
      queue: 'low-priority',
      priority: 5,
      kwargs: {},
    });
    expectTypeOf(add.applyAsync([4, 4])).resolves.toEqualTypeOf<AsyncResult<number>>();
    // @ts-expect-error -- wrong argument
    void add.applyAsync(['4', 4]);
    // @ts-expect-error -- misspelt option
    void add.applyAsync([4, 4], { countDown: 10 });
    // @ts-expect-error -- wrong type of option
    void add.applyAsync([4, 4], { countdown: '10' });
    // @ts-expect-error -- the arguments are needed
    void add.applyAsync();
  });

  test('keyword arguments may stand for the last arguments', () => {
    void add.applyAsync([4], { kwargs: { y: 4 } });
    void add.applyAsync([], { kwargs: { x: 4, y: 4 } });
    // @ts-expect-error -- too few, and no keyword arguments
    void add.applyAsync([4], { countdown: 1 });
    // @ts-expect-error -- the first is a number
    void add.applyAsync(['4'], { kwargs: { y: 4 } });
  });
});

describe('other ways to a result', () => {
  test('sendTask and AsyncResult name their type', () => {
    expectTypeOf(app.sendTask('tasks.add', [4, 4])).resolves.toEqualTypeOf<AsyncResult>();
    expectTypeOf(app.sendTask<number>('tasks.add', [4, 4])).resolves.toEqualTypeOf<AsyncResult<number>>();
    expectTypeOf(app.AsyncResult<number>('id')).toEqualTypeOf<AsyncResult<number>>();
    expectTypeOf(add.AsyncResult('id')).toEqualTypeOf<AsyncResult<number>>();
  });

  test('sharedTask has the types of app.task', () => {
    const shared = sharedTask('shared', { bind: true }, (self, n: number) => n + self.request.retries);
    expectTypeOf(shared).toEqualTypeOf<Task<[n: number], number>>();
    // @ts-expect-error -- a number
    void shared.delay('1');
  });
});
