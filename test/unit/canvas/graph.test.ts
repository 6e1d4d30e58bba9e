import { describe, expect, it } from 'vitest';
import { canvasGraph } from '../../../src/canvas/graph.ts';
import { writeDot } from '../../../src/core/dot.ts';
import { InvalidTaskError } from '../../../src/core/errors.ts';

const task = (name: string, options: object = {}, args: readonly unknown[] = []) => ({
  ...{ task: name, args, kwargs: {}, options, subtask_type: null, immutable: false },
});
const composite = (type: string, kwargs: object) => ({
  ...{ task: `celery.${type}`, args: [], kwargs, options: {}, subtask_type: type, immutable: false },
});
const chain = (...tasks: readonly unknown[]) => composite('chain', { tasks });
const group = (...tasks: readonly unknown[]) => composite('group', { tasks });
const chord = (header: readonly unknown[], body: unknown) => composite('chord', { header, body });
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => task(name));

/** `a>b`, with the label of the edge if it has one; a point where many meet is `.`. */
function arrows(signature: unknown): string[] {
  const { nodes, edges } = canvasGraph(signature);
  const names = new Map(
    nodes.map(({ id, label }) => [id, label?.[0] === '' ? '.' : (label ?? []).join(' ')]),
  );
  const name = (id: string): string => names.get(id) ?? '?';
  return edges.map(({ from, to, attributes }) =>
    `${name(from)}>${name(to)} ${attributes?.label ?? ''}`.trim(),
  );
}

describe('the graph of a canvas', () => {
  it.each([
    ['a task', a, []],
    ['a chain', chain(a, b, c), ['a>b', 'b>c']],
    ['a group', group(a, b), []],
    ['a chord', chord([a, b], c), ['a>c', 'b>c']],
    ['a group between tasks', chain(a, group(b, c), d), ['a>b', 'a>c', 'b>d', 'c>d']],
    ['a group after a group', chain(group(a, b), group(c, d)), ['a>.', 'b>.', '.>c', '.>d']],
    ['a chord of chains', chord([chain(a, b), c], d), ['a>b', 'b>d', 'c>d']],
    ['nothing in between', chain(a, group(), b), ['a>b']],
    ['callbacks', task('x', { link: [b], link_error: c }), ['x>b link', 'x>c link_error']],
    ['arguments', chain(task('x', {}, [1, 'y']), b), ["x (1, 'y')>b"]],
  ])('of %s', (_, signature, expected) => {
    expect(arrows(signature)).toEqual(expected);
  });

  it('is DOT, whatever names contain', () => {
    expect(writeDot(canvasGraph(chain(task('say "hi"', {}, ['back\\slash']), b))))
      .toBe(`digraph dependencies {
    graph [bgcolor="mintcream"]
    node [shape="box", style="filled", fontname="HelveticaNeue", fillcolor="palegreen3", color="palegreen4"]
    edge [color="darkseagreen4", arrowhead="vee", arrowsize="0.7"]
    "t0" [label="say \\"hi\\"\\n('back\\\\slash',)"]
    "t1" [label="b"]
    "t0" -> "t1"
}`);
  });

  it('is refused for what is no signature', () => {
    expect(() => canvasGraph({ name: 'x' })).toThrow(InvalidTaskError);
  });
});
