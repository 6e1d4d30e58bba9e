import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ChordMember, ChordPart } from '../../src/backend/chord.ts';
import { ImproperlyConfigured } from '../../src/core/errors.ts';
import type { BackendPair } from './backend-suite.ts';

/** A member that ended with a value. */
export function part(groupId: string, taskId: string, groupIndex: number | null, value: unknown): ChordPart {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    groupId,
    taskId,
    groupIndex,
    status: 'SUCCESS',
    result: { serializer: 'json', bytes },
    error: null,
  };
}

/** The same as one that failed, or was revoked. */
export function failed(member: ChordPart, status = 'FAILURE'): ChordPart {
  const error = { type: 'ValueError', module: 'builtins', args: ['boom'], traceback: null };
  return { ...member, status, result: null, error };
}

/** What members ended with: their values, or the types of their errors. */
export const ends = (members: readonly ChordMember[] | undefined): unknown =>
  members?.map(({ result, error }) =>
    error === null ? (JSON.parse(result?.bytes.toString() ?? '') as unknown) : error.type,
  );

/** Every promise of the chord counts of `ResultBackend`. */
export function chordContract(pair: () => BackendPair): void {
  describe('chords', () => {
    let gid: string;
    const [a, b, c] = ['a', 'b', 'c'].map((id) => (index: number | null, value: unknown) => {
      return part(gid, `${gid}-${id}`, index, value);
    }) as [Part, Part, Part];
    type Part = (index: number | null, value: unknown) => ChordPart;

    /** Counts one after the other, each on the other side than the last; gives what each was told. */
    const count = async (...parts: readonly ChordPart[]): Promise<unknown[]> => {
      const told: unknown[] = [];
      for (const [index, each] of parts.entries()) {
        const backend = index % 2 === 0 ? pair().worker : pair().client;
        told.push(ends(await backend.endPart(each)));
      }
      return told;
    };

    beforeEach(() => {
      gid = randomUUID();
    });

    it('refuses them where nobody else can read, with a way out', async () => {
      const { client, worker } = pair();
      if (client.can.chords) return;
      await expect(client.startChord(gid, 1)).rejects.toBeInstanceOf(ImproperlyConfigured);
      await expect(worker.endPart(a(0, 1))).rejects.toThrow(/does not support chords.*Set result_backend/s);
    });

    it('gives the last one all of them, in the order of the header', async () => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 3);
      const told = await count(c(2, { deep: ['ø'] }), a(0, 1), b(1, null));
      expect(told).toEqual([undefined, undefined, [1, null, { deep: ['ø'] }]]);
    });

    it.each([
      ['the same place twice', 1, 1],
      ['no places', null, null],
      ['one place only', 0, null],
    ])('counts members with %s', async (_, first, second) => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 2);
      const told = await count(a(first, 'a'), b(second, 'b'));
      expect(told).toEqual([undefined, ['a', 'b']]);
    });

    it('learns the number late, and of members that are added', async () => {
      if (!pair().client.can.chords) return;
      expect(await count(a(0, 'a'))).toEqual([undefined]);
      await pair().client.startChord(gid, 2);
      await pair().worker.growChord(gid, 1);
      expect(await count(b(1, 'b'), c(null, 'c'))).toEqual([undefined, ['a', 'b', 'c']]);
    });

    it('counts one member once: the same result, another one, and a failure after it', async () => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 2);
      const told = await count(a(0, 1), a(0, 1), a(0, 2), failed(a(0, 1)), b(1, 3));
      expect(told).toEqual([undefined, undefined, undefined, undefined, [1, 3]]);
    });

    it('tells nobody else of the end, but the last one again: whoever was told may be gone', async () => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 2);
      const told = await count(a(0, 1), b(1, 2), a(0, 1), b(1, 2));
      expect(told).toEqual([undefined, [1, 2], undefined, [1, 2]]);
      await pair().client.endChord(gid);
      expect(await count(a(0, 1), b(1, 2))).toEqual([undefined, undefined]);
    });

    it.each(['FAILURE', 'REVOKED'])('counts a member with %s, and gives its error', async (status) => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 2);
      await count(failed(a(0, 1), status));
      const members = await pair().client.endPart(b(1, 2));
      expect(ends(members)).toEqual(['ValueError', 2]);
      expect(members?.[0]).toMatchObject({ taskId: `${gid}-a`, status, error: { args: ['boom'] } });
    });

    it('tells exactly one of many that end at the same time', async () => {
      if (!pair().client.can.chords) return;
      await pair().client.startChord(gid, 200);
      const parts = Array.from({ length: 200 }, (_, index) => part(gid, `${gid}-${index}`, index, index));
      const both = parts.flatMap((each) => [pair().client.endPart(each), pair().worker.endPart(each)]);
      // The last one may be told twice here: both of its ends look like the same member.
      const told = (await Promise.all(both)).filter((members) => members !== undefined);
      expect(new Set(told.map((members) => JSON.stringify(ends(members))))).toEqual(
        new Set([JSON.stringify(parts.map((_, index) => index))]),
      );
      expect(told.length).toBeLessThan(3);
    });
  });
}
