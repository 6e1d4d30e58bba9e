import { becomes, chain, chord, group, linked, onError } from '../support/canvas-runs.ts';
import { describeCanvases, OTHERS } from '../support/canvas-tables.ts';
import type { ExpectedCase } from '../support/canvas-tables.ts';

/** Callbacks that a task hands on to what it is replaced by, and those of whole canvases. */
const CASES: readonly (readonly [name: string, of: ExpectedCase])[] = [
  ['callback of a chain', { shape: (t) => chain(t('a', 1), t('b')), link: (t) => t('l'), gives: 'b(a(1))' }],
  [
    'callback of a chain that ends with a group',
    {
      shape: (t) => chain(t('a', 1), group(t('b'), t('c'))),
      link: (t) => t('l'),
      gives: ['b(a(1))', 'c(a(1))'],
      races: ['bc'],
      runs: 5,
    },
  ],
  [
    'callback of a group',
    { shape: (t) => group(t('a', 1), t('b', 2)), link: (t) => t('l', 7), gives: ['a(1)', 'b(2)'] },
  ],
  [
    'callback of a chord',
    {
      shape: (t) => chord([t('a', 1), t('b', 2)], t('c')),
      link: (t) => t('l'),
      gives: 'c([a(1), b(2)])',
      races: ['ab'],
    },
  ],
  [
    'callback of a chord in a chain',
    {
      // Put together, Python fails: a group cannot be linked to, it says.
      isRaw: true,
      shape: (t) => chain(t('a', 1), chord([t('b'), t('c')], t('d')), t('e')),
      link: (t) => t('l'),
      gives: 'e(d([b(a(1)), c(a(1))]))',
      races: ['bc'],
    },
  ],
  [
    'a chain that is put together when it is sent',
    {
      shape: (t) => chain(t('a', 1), group(t('b'), t('c')), t('d'), t('e')),
      isRaw: true,
      gives: 'e(d([b(a(1)), c(a(1))]))',
      races: ['bc'],
    },
  ],
  [
    'callback that is a chain',
    { shape: (t) => chain(t('a', 1), t('b')), link: (t) => chain(t('l'), t('m')), gives: 'b(a(1))' },
  ],
  [
    'callback that is a chord',
    {
      shape: (t) => chain(t('a', 1), t('b')),
      link: (t) => chord([t('l'), t('m')], t('n')),
      gives: 'b(a(1))',
      races: ['lm'],
    },
  ],
  // By a chain: Python calls it twice.
  ...(['task', 'group', 'chord'] as const).map((kind): readonly [string, ExpectedCase] => {
    const { shape, gives, races } = OTHERS[kind];
    return [
      `callback of a task that is replaced by a ${kind}`,
      {
        shape: (t) => chain(t('a', 1), becomes(linked(t('b'), t('l')), shape(t))),
        ...{ gives, races },
      },
    ];
  }),
  [
    'error callback of a chain',
    {
      shape: (t) => chain(t('a', 1), t('fail'), t('b')),
      onError: (t) => t('l'),
      gives: ['ValueError', 'fail'],
      runs: 3,
    },
  ],
  [
    'error callback of a group',
    {
      shape: (t) => group(t('a', 1), t('fail')),
      onError: (t) => t('l'),
      gives: ['ValueError', 'fail'],
    },
  ],
  [
    'error callback of a chord, of which a member fails',
    {
      shape: (t) => chord([t('a', 1), t('fail')], t('b')),
      onError: (t) => t('l'),
      gives: ['ChordError', "Dependency ID raised ValueError('fail')"],
      runs: 3,
    },
  ],
  [
    'error callback of a chord, of which the body fails',
    {
      shape: (t) => chord([t('a', 1), t('b', 2)], t('fail')),
      onError: (t) => t('l'),
      gives: ['ValueError', 'fail'],
      races: ['ab'],
    },
  ],
  [
    'error callback of a task that is replaced by a chain that fails',
    {
      shape: (t) => chain(t('a', 1), becomes(onError(t('b'), t('l')), chain(t('w'), t('fail'), t('x')))),
      gives: ['ValueError', 'fail'],
      runs: 5,
    },
  ],
];

describeCanvases('callbacks of canvases, with Python', CASES);
