import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../../src/backend/backend.ts';
import { memoryBackend } from '../../../src/backend/memory.ts';
import { endMember, registerChord } from '../../../src/canvas/chord-end.ts';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { disabledBackend } from '../../../src/backend/disabled.ts';
import type { ResultTuple } from '../../../src/message/outcome.ts';
import { resultMeta } from '../../contract/backend-suite.ts';
import { failed, part } from '../../contract/chord-suite.ts';

const task = (id: string): ResultTuple => [[id, null], null];

describe('the end of a chord', () => {
  let backend: ResultBackend;
  let groupId: string;

  beforeEach(() => {
    backend = memoryBackend('cache+memory://chord-end', { resultExpiresS: 60, serializer: 'json' });
    groupId = randomUUID();
  });
  afterEach(() => backend[Symbol.asyncDispose]());

  const member = (id: string, value: unknown, index: number | null = null) => part(groupId, id, index, value);

  it('gives the values of a flat header, and saves no group', async () => {
    await registerChord(backend, { groupId, size: 2, header: [task('a'), task('b')] });
    expect(await endMember(backend, member('b', 2, 1))).toBeUndefined();
    expect(await endMember(backend, member('a', 1, 0))).toEqual({ kind: 'values', values: [1, 2] });
    expect(await backend.loadGroup(groupId)).toBeUndefined();
  });

  it('gives values in the form of a header with groups in it, then those that were added', async () => {
    const inner: ResultTuple = [
      ['inner', null],
      [task('b'), [['empty', null], []], task('c')],
    ];
    await registerChord(backend, { groupId, size: 3, header: [task('a'), inner] });
    await backend.growChord(groupId, 1);
    for (const id of ['c', 'added', 'a']) await endMember(backend, member(id, id.toUpperCase()));
    expect(await endMember(backend, member('b', 'B'))).toEqual({
      kind: 'values',
      values: ['A', ['B', [], 'C'], 'ADDED'],
    });
  });

  it('takes a value from the backend that the count does not have', async () => {
    await backend.store(resultMeta('elsewhere', 'SUCCESS', 'found'));
    await registerChord(backend, {
      groupId,
      size: 1,
      header: [
        [
          ['inner', null],
          [task('elsewhere'), task('a')],
        ],
      ],
    });
    expect(await endMember(backend, member('a', 1))).toEqual({ kind: 'values', values: [['found', 1]] });
  });

  it.each([
    ['FAILURE', "Dependency a raised ValueError('boom')"],
    ['REVOKED', "Dependency a raised ValueError('boom')"],
  ])('is a ChordError when a member ended with %s', async (status, message) => {
    await registerChord(backend, { groupId, size: 2, header: [task('a'), task('b')] });
    await endMember(backend, failed(member('a', null, 0), status));
    expect(await endMember(backend, member('b', 2, 1))).toMatchObject({
      kind: 'error',
      error: { type: 'ChordError', module: 'celery.exceptions', args: [message] },
    });
  });

  it.each([
    ['is not there', 'Dependency gone has no result'],
    ['is no result', /^Join error: .*/],
  ])('is a ChordError when a member %s', async (what, message) => {
    const id = what === 'is no result' ? 'bad' : 'gone';
    await registerChord(backend, { groupId, size: 1, header: [[['inner', null], [task(id)]]] });
    const bytes = Buffer.from(id === 'bad' ? '[1, 2' : '1');
    const ended = { ...member(id === 'bad' ? id : 'a', 1), result: { serializer: 'json', bytes } };
    expect(await endMember(backend, ended)).toMatchObject({
      kind: 'error',
      error: { type: 'ChordError', args: [expect.stringMatching(message)] },
    });
  });

  it('is refused where there are no chords', async () => {
    const header = [task('a')];
    await expect(registerChord(disabledBackend(), { groupId, size: 1, header })).rejects.toThrow(
      ImproperlyConfigured,
    );
  });
});
