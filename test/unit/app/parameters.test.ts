import { describe, expect, it } from 'vitest';
import { bindArguments, checkArguments } from '../../../src/app/parameters.ts';
import type { AnyTaskOptions } from '../../../src/app/options.ts';
import type { AnyTask, TaskFunction } from '../../../src/app/task.ts';
import { Celery } from '../../../src/index.ts';

function taskOf(run: TaskFunction, options: AnyTaskOptions = {}): AnyTask {
  return new Celery('parameters').register({ name: 'tasks.f', run, options });
}

const [method, later] = Object.values({
  method(x: number, y: number) {
    return [x, y];
  },
  async later(x: number) {
    return x;
  },
}) as [TaskFunction, TaskFunction];

const two = (x: number, y: number) => [x, y];
const none = () => null;
const defaults = (x: number, y = 2, z = 3) => [x, y, z];
const rest = (x: number, ...others: number[]) => [x, others];
const object = ({ width, height = 1 }: { width: number; height?: number }) => [width, height];
const mixed = (name: string, { a, b }: { a?: number; b?: number } = {}) => [name, a, b];
const open = ({ a, ...others }: Record<string, number>) => [a, others];
const array = ([a, b]: number[], c: number) => [a, b, c];
const bound = (self: unknown, x: number) => [self, x];
const three = (a: number, b: number, c: number) => [a, b, c];
const tricky = (x = ')', y = { z: (q: number) => q }, /* c, */ z = `,`) => [x, y, z];
async function* generator(x: number) {
  yield x;
}

describe('checkArguments', () => {
  it.each<[string, TaskFunction, unknown[], Record<string, unknown>, string | undefined]>([
    ['fits', two, [1, 2], {}, undefined],
    ['fits by name', two, [], { y: 2, x: 1 }, undefined],
    ['fits mixed', two, [1], { y: 2 }, undefined],
    ['one too few', two, [1], {}, "f() missing 1 required positional argument: 'y'"],
    ['two too few', two, [], {}, "f() missing 2 required positional arguments: 'x' and 'y'"],
    ['three too few', three, [], {}, "f() missing 3 required positional arguments: 'a', 'b', and 'c'"],
    ['a hole before a name', three, [1], { c: 3 }, "f() missing 1 required positional argument: 'b'"],
    ['too many', two, [1, 2, 3], {}, 'f() takes 2 positional arguments but 3 were given'],
    ['too many for none', none, [1], {}, 'f() takes 0 positional arguments but 1 was given'],
    ['too many of one', later, [1, 2], {}, 'f() takes 1 positional argument but 2 were given'],
    [
      'too many with defaults',
      defaults,
      [1, 2, 3, 4],
      {},
      'f() takes from 1 to 3 positional arguments but 4 were given',
    ],
    ['defaults left out', defaults, [1], {}, undefined],
    ['a default by name', defaults, [1], { z: 9 }, undefined],
    ['unknown name', two, [1, 2], { z: 3 }, "f() got an unexpected keyword argument 'z'"],
    ['the same twice', two, [1, 2], { x: 3 }, "f() got multiple values for argument 'x'"],
    [
      '__proto__ is a name like others',
      two,
      [1, 2],
      JSON.parse('{"__proto__": 1}') as Record<string, unknown>,
      "f() got an unexpected keyword argument '__proto__'",
    ],
    ['rest takes all', rest, [1, 2, 3, 4], {}, undefined],
    ['rest takes no names', rest, [1], { z: 3 }, "f() got an unexpected keyword argument 'z'"],
    ['rest still needs the others', rest, [], {}, "f() missing 1 required positional argument: 'x'"],
    ['an object from names', object, [], { width: 3 }, undefined],
    ['an object as it is', object, [{ width: 3 }], {}, undefined],
    [
      'an object with an unknown name',
      object,
      [],
      { depth: 3 },
      "f() got an unexpected keyword argument 'depth'",
    ],
    [
      'an object that nobody gave',
      object,
      [],
      {},
      "f() missing 1 required positional argument: 'argument 1'",
    ],
    ['a name and an object', mixed, [], { name: 'n', b: 2 }, undefined],
    ['a default object', mixed, ['n'], {}, undefined],
    ['an open object', open, [], { anything: 1 }, undefined],
    ['an array pattern', array, [[1, 2], 3], {}, undefined],
    [
      'an array pattern missing',
      array,
      [],
      { c: 3 },
      "f() missing 1 required positional argument: 'argument 1'",
    ],
    ['a method', method, [1], {}, "f() missing 1 required positional argument: 'y'"],
    [
      'text that looks like parameters',
      tricky,
      [1, 2, 3, 4],
      {},
      'f() takes from 0 to 3 positional arguments but 4 were given',
    ],
    ['a generator', generator, [], {}, "f() missing 1 required positional argument: 'x'"],
    ['a native function', Math.max, [1, 2, 3], {}, undefined],
    ['a function bound by bind()', two.bind(null), [1], {}, undefined],
  ])('%s', (_, run, args, kwargs, problem) => {
    const check = (): void => checkArguments(taskOf(run), args, kwargs);
    if (problem === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(new TypeError(problem));
  });

  it('does not count self', () => {
    const task = taskOf(bound, { bind: true });
    expect(() => checkArguments(task, [], {})).toThrow("f() missing 1 required positional argument: 'x'");
    expect(() => checkArguments(task, [1, 2], {})).toThrow(
      'f() takes 1 positional argument but 2 were given',
    );
  });

  it('is off with typing: false', () => {
    expect(() => checkArguments(taskOf(two, { typing: false }), [1, 2, 3], { q: 1 })).not.toThrow();
  });
});

describe('bindArguments', () => {
  it.each<[string, TaskFunction, unknown[], Record<string, unknown>, unknown[]]>([
    ['positions', two, [1, 2], {}, [1, 2]],
    ['names', two, [], { y: 2, x: 1 }, [1, 2]],
    ['a gap takes the default', defaults, [1], { z: 9 }, [1, undefined, 9]],
    ['an object from names', object, [], { height: 2, width: 3 }, [{ width: 3, height: 2 }]],
    ['a name and an object', mixed, [], { b: 2, name: 'n' }, ['n', { b: 2 }]],
    ['rest', rest, [1, 2, 3], {}, [1, 2, 3]],
  ])('%s', (_, run, args, kwargs, bound) => {
    expect(bindArguments(taskOf(run), args, kwargs)).toEqual(bound);
  });

  it('checks like the caller', () => {
    expect(() => bindArguments(taskOf(two), [1], {})).toThrow(TypeError);
  });

  it('gives a function whose source is hidden the names as one object', () => {
    expect(bindArguments(taskOf(Math.max), [1], { y: 2 })).toEqual([1, { y: 2 }]);
  });
});
