import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as errors from '../../../src/core/errors.ts';
import { CeleryError, Reject, Retry } from '../../../src/core/errors.ts';

type ErrorClass = new (message: string) => CeleryError;

const classes = Object.entries<unknown>(errors).filter((entry): entry is [string, ErrorClass] =>
  isErrorClass(entry[1]),
);

function isErrorClass(value: unknown): boolean {
  return value === CeleryError || (typeof value === 'function' && value.prototype instanceof CeleryError);
}

function make(name: string, Class: ErrorClass): CeleryError {
  return name === 'Retry' ? new Retry('message', { when: new Date(0), options: {} }) : new Class('message');
}

describe('errors', () => {
  it('are all of the catalogue, and each has a code of its own', () => {
    expect(classes.length).toBe(Object.keys(errors).length);
    const codes = classes.map(([name, Class]) => make(name, Class).code);
    expect(new Set(codes).size).toBe(classes.length);
    for (const code of codes) expect(code).toMatch(/^CELERY_[A-Z]+(_[A-Z]+)*$/);
  });

  it.each(classes)('%s carries its name, module and message', (name, Class) => {
    const error = make(name, Class);
    expect([error.name, error.message]).toEqual([name, 'message']);
    expect(['celery.exceptions', 'kombu.exceptions', 'billiard.exceptions', 'builtins']).toContain(
      error.module,
    );
    expect(error.stack).toContain(name);
  });

  it('are listed in docs/errors.md, and no others', () => {
    const docs = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const listed = [...docs.matchAll(/^\| `(\w+)`\s*\| `(CELERY_\w+)`\s*\| \S/gm)].map(
      ([, name, code]) => `${name} ${code}`,
    );
    const thrown = classes.map(([name, Class]) => `${name} ${make(name, Class).code}`);
    expect(listed.sort()).toEqual(thrown.sort());
  });

  it('keep their cause and their details', () => {
    const cause = new Error('why');
    expect(new errors.OperationalError('x', { cause }).cause).toBe(cause);
    const retry = new Retry('x', { when: new Date(1), exc: cause, options: { queue: 'q' } });
    expect([retry.cause, retry.details.options]).toEqual([cause, { queue: 'q' }]);
    expect(new Reject('no way', true)).toMatchObject({ message: 'no way', reason: 'no way', requeue: true });
  });
});
