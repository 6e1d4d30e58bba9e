import { adds, becomes, chain, chord, group } from '../support/canvas-runs.ts';
import { describeCanvases, OTHERS } from '../support/canvas-tables.ts';
import type { ExpectedCase } from '../support/canvas-tables.ts';

/** What a task gives and what it has added to its chord have the same place, so that either may be first. */
const CASES: readonly (readonly [name: string, of: ExpectedCase])[] = [
  [
    'a member adds a task',
    {
      shape: (t) => chord([adds(t('a', 1), t('b', 2)), t('c', 3)], t('S')),
      gives: 'S([a(1), b(2), c(3)])',
      races: ['abc'],
    },
  ],
  [
    'a member adds a chain',
    {
      shape: (t) => chord([adds(t('a', 1), chain(t('b', 2), t('d'))), t('c', 3)], t('S')),
      gives: 'S([a(1), c(3), d(b(2))])',
      races: ['acd'],
    },
  ],
  [
    'a member adds a chord',
    {
      shape: (t) => chord([adds(t('a', 1), chord([t('b', 2), t('d', 4)], t('R'))), t('c', 3)], t('S')),
      gives: 'S([R([b(2), d(4)]), a(1), c(3)])',
      races: ['bd', 'abcdR'],
      places: { d: 1 },
    },
  ],
  [
    'the last step of a member adds a task',
    {
      shape: (t) => chord([chain(t('a', 1), adds(t('b'), t('d', 2))), t('c', 3)], t('S')),
      gives: 'S([b(a(1)), c(3), d(2)])',
      races: ['abcd'],
    },
  ],
  [
    'what a member adds adds a task',
    {
      shape: (t) => chord([adds(t('a', 1), adds(t('b', 2), t('d', 4))), t('c', 3)], t('S')),
      gives: 'S([a(1), b(2), c(3), d(4)])',
      races: ['abcd'],
    },
  ],
  [
    'a member adds a task and is replaced',
    {
      shape: (t) => chord([becomes(adds(t('a', 1), t('b', 2)), t('d', 4)), t('c', 3)], t('S')),
      gives: 'S([b(2), c(3), d(4)])',
      races: ['abcd'],
    },
  ],
  [
    'a member of an inner chord adds a task',
    {
      shape: (t) => chord([chord([adds(t('a', 1), t('b', 2))], t('S')), t('c', 3)], t('d')),
      gives: 'd([S([a(1), b(2)]), c(3)])',
      races: ['abSc', 'ab'],
    },
  ],
  ...Object.keys(OTHERS).flatMap((kind) => replaced(kind as keyof typeof OTHERS)),
];

/** In a group, a header, a body and a chain. */
function replaced(kind: keyof typeof OTHERS): readonly (readonly [string, ExpectedCase])[] {
  const { shape, gives, races, places } = OTHERS[kind];
  const text = typeof gives === 'string' ? gives : `[${gives.join(', ')}]`;
  return [
    [
      `a member of a group replaced by a ${kind}`,
      { shape: (t) => group(becomes(t('a'), shape(t)), t('b', 2)), gives: [gives, 'b(2)'], races },
    ],
    [
      `a member of a header replaced by a ${kind}`,
      {
        shape: (t) => chord([becomes(t('a'), shape(t)), t('b', 2)], t('S')),
        gives: `S([${[text, 'b(2)'].sort().join(', ')}])`,
        races: [...races, 'abwxR'],
        places,
      },
    ],
    [
      `a body replaced by a ${kind}`,
      {
        shape: (t) => chain(chord([t('a', 1), t('b', 2)], becomes(t('c'), shape(t))), t('d')),
        gives: `d(${text})`,
        races: ['ab', ...races],
      },
    ],
    [
      `a step of a chain replaced by a ${kind}`,
      {
        shape: (t) => chain(t('a', 1), becomes(t('b'), shape(t)), t('c')),
        gives: `c(${text})`,
        races,
      },
    ],
  ];
}

describeCanvases('canvases that change while they run, with Python', CASES);
