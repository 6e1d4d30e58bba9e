import type { CanvasNode } from '../../src/canvas/signature.ts';
import { seededRandom } from './wire-fixtures.ts';

/** Shows what it is called with; `!` fails. */
export function show(label: string, args: readonly unknown[]): string {
  if (label.endsWith('!')) throw new TypeError(label);
  return `${label}(${args.map((arg) => (Array.isArray(arg) ? `[${arg.join(' ')}]` : String(arg))).join(' ')})`;
}

/** Random canvases; `failing` is how many tasks of a hundred fail. */
export class CanvasGenerator {
  readonly #random: () => number;
  readonly #failing: number;
  #labels = 0;

  constructor(seed: number, failing: number) {
    this.#random = seededRandom(seed);
    this.#failing = failing;
  }

  node(depth: number): CanvasNode {
    const kind = depth === 0 ? 0 : this.#below(4);
    const some = (from: number): CanvasNode[] =>
      Array.from({ length: from + this.#below(3) }, () => this.node(depth - 1));
    if (kind === 1) return { kind: 'chain', tasks: some(1), options: {} };
    if (kind === 2) return { kind: 'group', tasks: some(1), options: {} };
    if (kind === 3) {
      const header = { kind: 'group', tasks: some(0), options: {} } as const;
      return { kind: 'chord', header, body: this.node(depth - 1), options: {} };
    }
    this.#labels += 1;
    const label = `t${this.#labels}${this.#below(100) < this.#failing ? '!' : ''}`;
    const args = Array.from({ length: this.#below(2) }, () => this.#below(10));
    const immutable = this.#below(10) === 0;
    return { kind: 'task', task: 'show', args, kwargs: { label }, options: {}, immutable };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** What comes of a canvas, without any message. @throws what one of its tasks throws */
export function plain(node: CanvasNode, before: readonly unknown[]): unknown {
  switch (node.kind) {
    case 'task':
      return show(String(node.kwargs['label']), [...(node.immutable ? [] : before), ...node.args]);
    case 'chain':
      return node.tasks.reduce<readonly unknown[]>((given, step) => [plain(sole(step), given)], before)[0];
    case 'group':
      return members(node.tasks).map((task) => plain(task, before));
    case 'chord':
      return plain(node.body, [members(node.header.tasks).map((task) => plain(task, before))]);
  }
}

/** In a chain a group of one is that one. */
function sole(node: CanvasNode): CanvasNode {
  const [only] = node.kind === 'group' ? node.tasks : [];
  return node.kind === 'group' && node.tasks.length === 1 && only !== undefined ? sole(only) : node;
}

function members(tasks: readonly CanvasNode[]): readonly CanvasNode[] {
  return tasks.flatMap((task) => (task.kind === 'group' ? members(task.tasks) : [task]));
}

export function settled(evaluate: () => unknown): unknown {
  try {
    return evaluate();
  } catch {
    return 'failed';
  }
}
