import { describe, expectTypeOf, test } from 'vitest';
import { Celery, chain, chord, group } from '../../src/index.ts';
import type { AsyncResult, GroupResult } from '../../src/index.ts';

const app = new Celery('types');
const add = app.task('add', (x: number, y: number) => x + y);
const mul = app.task('mul', (x: number, y: number) => x * y);
const inc = app.task('inc', (x: number, by = 1) => x + by);
const sum = app.task('sum', (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0));
const text = app.task('text', (x: number) => String(x));
const upper = app.task('upper', (word: string) => word.toUpperCase());
const all = app.task('all', (...numbers: number[]) => numbers.length);
const now = app.task('now', () => 1);

describe('s', () => {
  test('takes all arguments, or the last ones', () => {
    void add.s(2, 2).delay();
    void add.s(2).delay(2);
    void add.s().delay(2, 2);
    void add.s().applyAsync([2, 2], { countdown: 1 });
    expectTypeOf(add.s(2, 2).delay()).resolves.toEqualTypeOf<AsyncResult<number>>();
    // @ts-expect-error -- a number
    add.s('2');
    // @ts-expect-error -- two at most
    add.s(1, 2, 3);
    // @ts-expect-error -- one is missing
    void add.s(2).delay();
    // @ts-expect-error -- none is missing
    void add.s(2, 2).delay(2);
    // @ts-expect-error -- one is missing
    void add.s(2).applyAsync();
  });

  test('a default may be left out, or given', () => {
    void inc.s(1).delay();
    void inc.s(1).delay(2);
    void inc.s().delay(1);
    void inc.s(1, 2).delay();
    void all.s(1, 2).delay(3, 4);
    void now.s().delay();
    // @ts-expect-error -- a number
    void all.s(1, 'a');
  });

  test('si takes all arguments, and nothing of what it follows', () => {
    void add.si(2, 2).delay();
    // @ts-expect-error -- both are needed
    void add.si(2);
    void chain(text.s(1), add.si(2, 2));
  });

  test('signature takes options', () => {
    void add.signature([2, 2], { countdown: 3, immutable: true }).delay();
    // @ts-expect-error -- countdown
    add.signature([2, 2], { countDown: 3 });
  });
});

describe('chain', () => {
  test('each step takes what the one before gives', () => {
    const steps = chain(add.s(2, 2), mul.s(8), text.s(), upper.s());
    expectTypeOf(steps.delay()).resolves.toEqualTypeOf<AsyncResult<string>>();
    expectTypeOf(chain(add.s(2), mul.s(8)).delay(1)).resolves.toEqualTypeOf<AsyncResult<number>>();
    // @ts-expect-error -- upper takes a string
    chain(add.s(2, 2), upper.s());
    // @ts-expect-error -- mul lacks one
    chain(add.s(2, 2), mul.s());
    // @ts-expect-error -- add has both
    chain(add.s(2, 2), add.s(2, 2));
    // @ts-expect-error -- the third does not fit
    chain(add.s(2, 2), text.s(), mul.s(2));
    // @ts-expect-error -- the first lacks one
    void chain(add.s(2), mul.s(8)).delay();
  });

  test('pipe is the same', () => {
    expectTypeOf(add.s(2, 2).pipe(mul.s(8)).pipe(text.s()).delay()).resolves.toEqualTypeOf<
      AsyncResult<string>
    >();
    // @ts-expect-error -- upper takes a string
    add.s(2, 2).pipe(upper.s());
  });

  test('a list of steps of one kind', () => {
    expectTypeOf(chain([1, 2].map((n) => inc.s(n))).delay(0)).resolves.toEqualTypeOf<AsyncResult<number>>();
  });

  test('a task known only by its name', () => {
    chain(app.signature<number>('other'), mul.s(8), app.signature('another'));
    // @ts-expect-error -- nobody knows what it gives
    chain(app.signature('other'), mul.s(8));
  });
});

describe('group', () => {
  test('gives a tuple', () => {
    const both = group(add.s(1, 1), text.s(2));
    expectTypeOf(both.delay()).resolves.toEqualTypeOf<GroupResult<[number, string]>>();
    expectTypeOf(group([add.s(1, 1), text.s(2)]).delay()).resolves.toEqualTypeOf<
      GroupResult<[number, string]>
    >();
    expectTypeOf(group([1, 2].map((n) => text.s(n))).delay()).resolves.toEqualTypeOf<GroupResult<string[]>>();
    expectTypeOf(group(text.s(1), group(add.s(1, 1), text.s(2))).delay()).resolves.toEqualTypeOf<
      GroupResult<[string, number, string]>
    >();
  });

  test('is called with what all its members take', () => {
    void group(add.s(1), text.s()).delay(1);
    // @ts-expect-error -- a number
    void group(add.s(1), text.s()).delay('a');
    // @ts-expect-error -- one is missing
    void group(add.s(1), text.s()).delay();
  });

  test('in a chain', () => {
    expectTypeOf(chain(add.s(1, 1), group(mul.s(2), text.s())).delay()).resolves.toEqualTypeOf<
      GroupResult<[number, string]>
    >();
    expectTypeOf(chain(group(add.s(1, 1), mul.s(2, 2)), sum.s()).delay()).resolves.toEqualTypeOf<
      AsyncResult<number>
    >();
    expectTypeOf(group(add.s(1, 1), mul.s(2, 2)).pipe(sum.s()).delay()).resolves.toEqualTypeOf<
      AsyncResult<number>
    >();
    // a group of one is that one
    chain(group(add.s(1, 1)), text.s());
    // @ts-expect-error -- text takes no list
    chain(group(add.s(1, 1), add.s(1, 1)), text.s());
    // @ts-expect-error -- one of them takes a string
    chain(add.s(1, 1), group(text.s(), upper.s()));
  });
});

describe('chord', () => {
  test('the body takes the list of results', () => {
    expectTypeOf(chord([add.s(1, 1), add.s(2, 2)], sum.s()).delay()).resolves.toEqualTypeOf<
      AsyncResult<number>
    >();
    expectTypeOf(chord(group(add.s(1, 1), add.s(2, 2)), sum.s()).delay()).resolves.toEqualTypeOf<
      AsyncResult<number>
    >();
    chord(
      [1, 2].map((n) => add.s(n, n)),
      sum.s(),
    );
    // @ts-expect-error -- a string among them
    chord([add.s(1, 1), text.s(2)], sum.s());
    // @ts-expect-error -- text takes no list
    chord([add.s(1, 1)], text.s());
  });

  test('takes what its header takes', () => {
    chain(add.s(1, 1), chord([mul.s(2), inc.s()], sum.s()), text.s(), upper.s());
    // @ts-expect-error -- the header takes numbers
    chain(text.s(1), chord([mul.s(2), inc.s()], sum.s()));
  });
});

test('map, starmap and chunks', () => {
  expectTypeOf(text.map([1, 2]).delay()).resolves.toEqualTypeOf<AsyncResult<string[]>>();
  expectTypeOf(add.starmap([[1, 2]]).delay()).resolves.toEqualTypeOf<AsyncResult<number[]>>();
  expectTypeOf(add.chunks([[1, 2]], 10).delay()).resolves.toEqualTypeOf<GroupResult<number[][]>>();
  // @ts-expect-error -- pairs of numbers
  add.starmap([[1]]);
});

test('links, errors and options keep the types', () => {
  const sig = add.s(2).link(text.s()).onError(text.s()).set({ queue: 'hipri' });
  expectTypeOf(sig.delay(1)).resolves.toEqualTypeOf<AsyncResult<number>>();
});
