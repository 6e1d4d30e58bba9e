import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CanvasRuns, chain, chord, group, WAYS } from './canvas-runs.ts';
import type { Case, Run, Shape } from './canvas-runs.ts';
import { Cluster } from './interop-cluster.ts';
import { python } from './python.ts';
import { hasRedis, RedisServer } from './redis.ts';

export interface ExpectedCase extends Case {
  /** What comes of it in an all-Python run. */
  readonly gives: unknown;
  /** Places of members where TypeScript starts their chord; Python puts all of them where that stands which they came from. */
  readonly places?: Readonly<Record<string, number>> | undefined;
}

/** What a task may be replaced by. */
export const OTHERS: Readonly<
  Record<
    'task' | 'chain' | 'group' | 'chord',
    {
      readonly shape: Shape;
      readonly gives: string | readonly string[];
      readonly races: readonly string[];
      readonly places?: Readonly<Record<string, number>> | undefined;
    }
  >
> = {
  task: { shape: (t) => t('w', 9), gives: 'w(9)', races: [] },
  chain: { shape: (t) => chain(t('w', 9), t('x')), gives: 'x(w(9))', races: [] },
  group: {
    shape: (t) => group(t('w', 9), t('x', 8)),
    ...{ gives: ['w(9)', 'x(8)'], races: ['wx'], places: { x: 1 } },
  },
  chord: {
    shape: (t) => chord([t('w', 9), t('x', 8)], t('R')),
    ...{ gives: 'R([w(9), x(8)])', races: ['wx'], places: { x: 1 } },
  },
};

/** Runs every canvas on Python alone first; all other ways have to give the same. */
export function describeCanvases(
  title: string,
  cases: readonly (readonly [name: string, of: ExpectedCase])[],
): void {
  describe.runIf(hasRedis && python !== undefined)(title, { timeout: 60_000 }, () => {
    let redis: RedisServer;
    let cluster: Cluster;
    beforeAll(async () => {
      redis = await RedisServer.start();
      const url = redis.url(0);
      cluster = await Cluster.start({ broker: url, backend: url, resultSerializer: 'json' });
    });
    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    });

    describe.each(cases)('%s', (_, { gives, places, ...canvas }) => {
      const run = (client: 'python' | 'typescript', language: (index: number) => string): Promise<Run> =>
        new CanvasRuns(cluster).run(canvas, client, language);
      let expected: Run;
      beforeAll(async () => {
        expected = await run('python', () => 'py');
        expect(expected.result).toEqual(gives);
      });

      const ways = WAYS.filter(([, client]) => client === 'python' || canvas.isRaw !== true);
      it.each(ways)('%s', async (_name, client, language) => {
        const inTypeScript = language(0) === 'ts' ? withPlaces(expected, places) : expected;
        expect(await run(client, language)).toEqual(inTypeScript);
      });
    });
  });
}

function withPlaces({ result, family }: Run, places: Readonly<Record<string, number>> = {}): Run {
  const moved = Object.entries(family).map(([label, member]) => [
    label,
    { ...member, index: places[label] ?? member.index },
  ]);
  return { result, family: Object.fromEntries(moved) as Run['family'] };
}
