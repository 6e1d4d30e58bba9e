import { writeSignature } from '../canvas/signature.ts';
import type { CanvasNode, TaskNode } from '../canvas/signature.ts';
import { ValueError } from '../core/errors.ts';
import { checkCallOptions } from './call-options.ts';
import { Group } from './compose.ts';
import type { ApplyOptions } from './options.ts';
import { makeSignature, Signature } from './signature.ts';
import type { SignatureHost, SignatureOptions } from './signature.ts';

/** The members of a task that make signatures of it, or run it here. */
export function signatureMembers(host: SignatureHost, task: string) {
  const signature = (args: readonly unknown[] = [], options: SignatureOptions = {}): Signature =>
    makeSignature(host, task, args, options);
  return {
    s: (...given: unknown[]) => signature(given),
    si: (...args: unknown[]) => signature(args, { immutable: true }),
    signature,
    map: (items: Iterable<unknown>) => new Signature(host, mapNode('celery.map', task, [...items])),
    starmap: (items: Iterable<readonly unknown[]>) =>
      new Signature(host, mapNode('celery.starmap', task, [...items])),
    chunks: (items: Iterable<readonly unknown[]>, size: number) => {
      if (!(size >= 1)) throw new ValueError(`chunks() takes a size of at least 1, not ${size}.`);
      const tasks = parts([...items], size).map((part) => mapNode('celery.starmap', task, part));
      return new Group(host, { kind: 'group', tasks, options: {} });
    },
    apply: async (args: readonly unknown[] = [], options: ApplyOptions = {}) => {
      checkCallOptions('apply', options);
      return host.runHere(taskNode(task), args, options);
    },
  };
}

function taskNode(task: string): TaskNode {
  return { kind: 'task', task, args: [], kwargs: {}, options: {}, immutable: false };
}

/** What one of the tasks of Celery's own needs to run another on each item. */
function mapNode(name: string, task: string, items: readonly unknown[]): CanvasNode {
  const kwargs = { task: writeSignature(taskNode(task)), it: items };
  return { kind: 'task', task: name, args: [], kwargs, options: {}, immutable: true };
}

function parts<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
