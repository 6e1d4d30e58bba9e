import { expectTypeOf, test } from 'vitest';
import type { AnyResult, AsyncResult, GroupResult, State } from '../../src/index.ts';

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
  expectTypeOf(result.children()).resolves.toEqualTypeOf<AnyResult[] | null>();
  // @ts-expect-error -- timeout is in seconds, as a number
  void result.get({ timeout: '1' });
  // @ts-expect-error -- misspelt
  void result.get({ timeOut: 1 });
});

declare const group: GroupResult<[number, [string, boolean]]>;

test('the result of a group is a tuple', () => {
  expectTypeOf(group.get()).resolves.toEqualTypeOf<[number, [string, boolean]]>();
  expectTypeOf(group.join({ timeout: 1 })).resolves.toEqualTypeOf<[number, [string, boolean]]>();
  expectTypeOf(group.get({ propagate: false })).resolves.toEqualTypeOf<
    [number | Error, [string, boolean] | Error]
  >();
  // @ts-expect-error -- the second is a tuple
  const other: GroupResult<[number, string]> = group;
  expectTypeOf(other).not.toEqualTypeOf(group);
  const any: readonly AnyResult[] = [group, result];
  expectTypeOf(any[0]?.get()).toEqualTypeOf<Promise<unknown> | undefined>();
});
