import { describe, expect, it } from 'vitest';

import * as errors from '../../../src/core/errors.ts';
import {
  errorFromJson,
  errorRepr,
  errorToJson,
  fromRemoteError,
  toRemoteError,
} from '../../../src/message/remote-error.ts';

class OrderError extends Error {}
class NamedError extends Error {
  override name = 'shop.NamedError';
}
class ShopTypeError extends TypeError {}

function error(constructor: new (message?: string) => Error, message: string, fields: object = {}): Error {
  return Object.assign(new constructor(message), fields);
}

describe('toRemoteError', () => {
  it.each<[unknown, string, string | null, unknown[]]>([
    [new Error('boom'), 'Error', null, ['boom']],
    [new TypeError('boom'), 'TypeError', 'builtins', ['boom']],
    [new RangeError('boom'), 'RangeError', null, ['boom']],
    [new OrderError('closed'), 'OrderError', null, ['closed']],
    [new NamedError('closed'), 'shop.NamedError', null, ['closed']],
    [new ShopTypeError('x'), 'ShopTypeError', null, ['x']],
    [error(Error, 'x', { name: 'ValueError' }), 'ValueError', 'builtins', ['x']],
    [error(Error, 'x', { name: 5 }), 'Error', null, ['x']],
    [new Error(), 'Error', null, []],
    [error(Error, 'x', { args: ['a', 1, 2n] }), 'Error', null, ['a', 1, 2]],
    [error(Error, 'x', { args: [() => 1, new Set([1])] }), 'Error', null, ['<function <anonymous>>', '{1}']],
    [new errors.NotRegistered('tasks.x'), 'NotRegistered', 'celery.exceptions', ['tasks.x']],
    [new errors.SoftTimeLimitExceeded(), 'SoftTimeLimitExceeded', 'billiard.exceptions', []],
    [new errors.SoftTimeLimitExceeded('', 5), 'SoftTimeLimitExceeded', 'billiard.exceptions', []],
    [new errors.SoftTimeLimitExceeded('mine'), 'SoftTimeLimitExceeded', 'billiard.exceptions', ['mine']],
    [new errors.EncodeError('no'), 'EncodeError', 'kombu.exceptions', ['no']],
    [new DOMException('stop', 'AbortError'), 'AbortError', null, ['stop']],
    ['text', 'Error', null, ['text']],
    [42, 'Error', null, [42]],
    [null, 'Error', null, [null]],
    [undefined, 'Error', null, []],
    [{ code: 1, at: [2] }, 'Error', null, [{ code: 1, at: [2] }]],
    [Symbol('s'), 'Error', null, ['Symbol(s)']],
  ])('gives %o a form', (thrown, type, module, args) => {
    const remote = toRemoteError(thrown);
    expect(remote).toMatchObject({ type, module, args });
    expect(typeof remote.traceback).toBe('string');
    // It has to cross a process as JSON.
    expect(JSON.parse(JSON.stringify(remote))).toEqual(remote);
  });

  it('takes the stack, and those of the causes, as the traceback', () => {
    const root = new RangeError('root');
    const middle = new OrderError('middle', { cause: root });
    const { traceback } = toRemoteError(new Error('top', { cause: middle }));
    expect(traceback).toMatch(/^Error: top\n {4}at /);
    expect(traceback).toMatch(
      /\nCaused by: OrderError: middle\n {4}at [^]*\nCaused by: RangeError: root\n {4}at /,
    );
    expect(toRemoteError(new Error('x', { cause: { code: 5 } })).traceback).toMatch(
      /\nCaused by: \{'code': 5\}$/,
    );
  });

  it('ends with causes that go in a circle, and with very many', () => {
    const circle: Error & { cause?: unknown } = new Error('circle');
    circle.cause = circle;
    expect(toRemoteError(circle).traceback?.match(/circle/g)).toHaveLength(1);
    let chain = new Error('last');
    for (let depth = 0; depth < 50; depth += 1) chain = new Error(`e${depth}`, { cause: chain });
    expect(toRemoteError(chain).traceback?.match(/Caused by/g)).toHaveLength(9);
  });

  it('names the parts of an AggregateError', () => {
    const both = new AggregateError([new Error('first'), 'second'], 'all failed');
    expect(toRemoteError(both).traceback).toMatch(
      /AggregateError: all failed[^]*Together with: Error: first[^]*Together with: 'second'$/,
    );
  });

  it('says that what is no Error has no stack', () => {
    expect(toRemoteError('oops').traceback).toBe(
      "Error: 'oops' was thrown, which is not an Error and has no stack",
    );
    expect(toRemoteError(error(Error, 'x', { stack: undefined })).traceback).toBe('Error: x');
  });
});

describe('fromRemoteError', () => {
  it.each([
    ...[errors.NotRegistered, errors.TaskRevokedError, errors.ChordError, errors.MaxRetriesExceededError],
    ...[errors.SoftTimeLimitExceeded, errors.TimeLimitExceeded, errors.WorkerLostError, errors.Terminated],
    ...[
      errors.EncodeError,
      errors.DecodeError,
      errors.ContentDisallowed,
      errors.OperationalError,
      errors.Ignore,
    ],
    ...[errors.Reject, errors.TimeoutError, errors.InvalidTaskError, errors.ImproperlyConfigured, TypeError],
    ...[RangeError, SyntaxError, ReferenceError, Error],
  ])('brings back %o by its name', (constructor) => {
    const remote = toRemoteError(new constructor('why'));
    const back = fromRemoteError({ ...remote, traceback: 'far away' });
    expect(back.constructor).toBe(constructor);
    expect(back).toMatchObject({
      name: constructor.name,
      message: 'why',
      args: ['why'],
      traceback: 'far away',
    });
    expect(toRemoteError(back)).toMatchObject({ type: remote.type, module: remote.module, args: ['why'] });
    expect(toRemoteError(back).traceback).toMatch(/\nRemote traceback:\nfar away$/);
  });

  it.each([
    ['ValueError', 'builtins', ['boom'], 'boom'],
    ['KeyError', 'builtins', [1], '1'],
    ['Outer.Inner', 'proj', [], ''],
    ['OrderError', 'proj', ['order', 42, null], "('order', 42, None)"],
    ['TimeoutError', 'builtins', ['late'], 'late'],
    ['Retry', 'celery.exceptions', ['x'], 'x'],
    ['constructor', null, ['x'], 'x'],
    ['__proto__', 'os', ['x'], 'x'],
  ])('makes an Error named %s of what it does not know', (type, module, args, message) => {
    const back = fromRemoteError({ type, module, args, traceback: null });
    expect(back.constructor).toBe(Error);
    expect(back).toMatchObject({ name: type, message, args, module, traceback: null });
    expect(String(back)).toBe(message === '' ? type : `${type}: ${message}`);
    expect(back.stack?.startsWith(type)).toBe(true);
    expect(Object.keys(back)).toEqual([]);
    expect(toRemoteError(back)).toMatchObject({ type, module, args });
  });
});

describe('errorRepr', () => {
  it.each<[unknown, string]>([
    [error(Error, 'boom', { name: 'ValueError' }), "ValueError('boom')"],
    [new OrderError("it's"), `OrderError("it's")`],
    [new Error(), 'Error()'],
    [fromRemoteError({ type: 'E', module: null, args: ['a', 1], traceback: null }), "E('a', 1)"],
    ['text', "Error('text')"],
    [undefined, 'Error()'],
  ])('prints %o', (thrown, text) => {
    expect(errorRepr(thrown)).toBe(text);
  });
});

describe('the stored form', () => {
  it.each<[unknown, string | null, unknown[], string | null]>([
    [
      { exc_type: 'ValueError', exc_message: ['boom', 1], exc_module: 'builtins' },
      'ValueError',
      ['boom', 1],
      'builtins',
    ],
    [{ exc_type: 'ValueError', exc_message: 'boom' }, 'ValueError', ['boom'], null],
    [{ exc_type: 'ValueError', exc_message: null, exc_module: 5 }, 'ValueError', [], null],
    [{ exc_type: 'ValueError' }, 'ValueError', [], null],
    [{ exc_message: 'x' }, null, [], null],
    [null, null, [], null],
    ['text', null, [], null],
  ])('reads %j', (value, type, args, module) => {
    const expected = type === null ? undefined : { type, args, module, traceback: 'tb' };
    expect(errorFromJson(value, 'tb')).toEqual(expected);
  });

  it("is written in Celery's order", () => {
    const json = errorToJson({ type: 'ValueError', module: 'builtins', args: ['boom'], traceback: 'tb' });
    expect(JSON.stringify(json)).toBe(
      '{"exc_type":"ValueError","exc_message":["boom"],"exc_module":"builtins"}',
    );
  });
});
