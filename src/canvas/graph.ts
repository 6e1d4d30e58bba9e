/** A canvas as a graph: what runs after what. */
import type { DotAttributes, DotEdge, DotGraph, DotNode } from '../core/dot.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import { signaturesIn } from './links.ts';
import { readSignature } from './signature.ts';
import type { CanvasNode, TaskNode } from './signature.ts';

/** Arguments longer than this are cut. */
const REPR_LENGTH = 60;

const LINK: DotAttributes = { label: 'link', style: 'dashed' };
const LINK_ERROR: DotAttributes = { label: 'link_error', style: 'dashed', color: 'firebrick3' };
/** Where all of a group come together. */
const BARRIER: DotAttributes = { shape: 'point', fillcolor: 'darkseagreen4' };

/** What runs first and last of a part. */
interface Part {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

/** The graph of a signature in its JSON form. @throws {InvalidTaskError} it is none */
export function canvasGraph(signature: unknown): DotGraph {
  const drawing = new Drawing();
  drawing.draw(readSignature(signature));
  return drawing;
}

class Drawing implements DotGraph {
  readonly nodes: DotNode[] = [];
  readonly edges: DotEdge[] = [];

  draw(node: CanvasNode): Part {
    switch (node.kind) {
      case 'task':
        return this.#task(node);
      case 'chain':
        return this.#steps(node.tasks);
      case 'group':
        return this.#members(node.tasks);
      case 'chord':
        return this.#steps([node.header, node.body]);
    }
  }

  #task(task: TaskNode): Part {
    const id = this.#add({ label: [task.task, ...callOf(task)] });
    for (const [option, attributes] of [
      ['link', LINK],
      ['link_error', LINK_ERROR],
    ] as const) {
      for (const signature of signaturesIn(task.options[option])) {
        for (const to of this.draw(readSignature(signature)).first)
          this.edges.push({ from: id, to, attributes });
      }
    }
    return { first: [id], last: [id] };
  }

  #steps(steps: readonly CanvasNode[]): Part {
    const parts = steps.map((step) => this.draw(step)).filter(({ first }) => first.length > 0);
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1];
      if (next !== undefined) this.#join(part.last, next.first);
    }
    return { first: parts[0]?.first ?? [], last: parts.at(-1)?.last ?? [] };
  }

  #members(members: readonly CanvasNode[]): Part {
    const parts = members.map((member) => this.draw(member));
    return { first: parts.flatMap(({ first }) => first), last: parts.flatMap(({ last }) => last) };
  }

  /** Many before many meet in one point: an edge for each pair would be too much to look at. */
  #join(before: readonly string[], after: readonly string[]): void {
    if (before.length > 1 && after.length > 1) {
      const barrier = this.#add({ label: [''], attributes: BARRIER });
      this.#join(before, [barrier]);
      this.#join([barrier], after);
      return;
    }
    for (const from of before) for (const to of after) this.edges.push({ from, to });
  }

  #add(node: Omit<DotNode, 'id'>): string {
    const id = `t${String(this.nodes.length)}`;
    this.nodes.push({ id, ...node });
    return id;
  }
}

function callOf({ args, kwargs }: TaskNode): string[] {
  const positional = args.length === 0 ? [] : [tupleRepr(args, REPR_LENGTH)];
  return Object.keys(kwargs).length === 0 ? positional : [...positional, saferepr(kwargs, REPR_LENGTH)];
}
