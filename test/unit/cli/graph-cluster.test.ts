import { expect, it, vi } from 'vitest';
import { run } from '../../../src/cli/main.ts';

it.each([
  [['graph', 'bootsteps', 'worker'], 0, ['"Worker: Consumer" -> "Worker: Events"'], ['Consumer: Tasks']],
  [['graph', 'bootsteps'], 0, ['"Consumer: Connection" -> "Worker: Consumer"', '"Consumer: Tasks" -> '], []],
  [
    ['graph', 'bootsteps', '-j', 'worker'],
    0,
    [
      '{"id": "Worker: Pool", "label": ["Worker: Pool"]}',
      '{"from": "Worker: StateDB", "to": "Worker: Pool"}',
    ],
    ['digraph'],
  ],
  [
    ['-b', 'memory://', 'graph', 'workers', '--json', 'nodes:w1', 'threads:1'],
    0,
    ['{"id": "w1 1", "label": ["P1"]}', '{"from": "w1 1", "to": "w1"}'],
    ['digraph'],
  ],
  [['graph', 'bootsteps', 'nosuch'], 2, [], ['digraph']],
  [
    ['-b', 'memory://', 'graph', 'workers', 'nodes:w1,w2', 'threads:1,9'],
    0,
    ['"w2" -> "broker memory', '… 6 more'],
    [],
  ],
  [['-b', 'memory://', 'graph', 'workers', 'nodes:a,b,c', 'wmax:1'], 0, ['… 2 more'], ['"b"']],
  [['graph', 'workers', 'nodse:w1'], 2, [], ['digraph']],
] as const)('%j', async (argv, code, present, absent) => {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const ended = await run(argv, {});
  vi.restoreAllMocks();
  expect(ended).toBe(code);
  for (const text of present) expect(out).toContain(text);
  for (const text of absent) expect(out).not.toContain(text);
});
