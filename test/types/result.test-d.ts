import { expectTypeOf, test } from 'vitest';
import type { AsyncResult, State } from '../../src/index.ts';

declare const result: AsyncResult<number>;

test('get gives the value, or the error as a value', () => {
  expectTypeOf(result.get()).resolves.toEqualTypeOf<number>();
  expectTypeOf(result.get({ timeout: 1 })).resolves.toEqualTypeOf<number>();
  expectTypeOf(result.get({ propagate: false })).resolves.toEqualTypeOf<number | Error>();
  expectTypeOf(
    result.get({ propagate: true, signal: AbortSignal.timeout(1) }),
  ).resolves.toEqualTypeOf<number>();
});

test('a result is not of another type', () => {
  // @ts-expect-error -- it is a number
  const text: Promise<string> = result.get();
  // @ts-expect-error -- a result of numbers
  const other: AsyncResult<string> = result;
  expectTypeOf(text).not.toEqualTypeOf(other);
});

test('the other members', () => {
  expectTypeOf(result.id).toEqualTypeOf<string>();
  expectTypeOf(result.ready()).resolves.toEqualTypeOf<boolean>();
  expectTypeOf(result.state()).resolves.toEqualTypeOf<State>();
  expectTypeOf(result.traceback()).resolves.toEqualTypeOf<string | null>();
  expectTypeOf(result.children()).resolves.toEqualTypeOf<AsyncResult[] | null>();
  // @ts-expect-error -- timeout is in seconds, as a number
  void result.get({ timeout: '1' });
  // @ts-expect-error -- misspelt
  void result.get({ timeOut: 1 });
});
