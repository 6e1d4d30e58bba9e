/** Callbacks and error callbacks of signatures: where they end up, by kind. */
import { isDeepStrictEqual } from 'node:util';
import type { SignatureJson } from '../message/message.ts';
import { readSignature, withImmutable, writeSignature } from './signature.ts';
import type { CanvasNode, SignatureOptions } from './signature.ts';

/** Signatures in an option that holds one or several. */
export function signaturesIn(value: unknown): readonly SignatureJson[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]) as readonly SignatureJson[];
}

/**
 * The same, followed by a callback when it succeeds: a chain's last step, a chord's body. A group has no end of its own: its
 * first member gets the callback, which then takes no result. At the end of a chain all of its members get it.
 */
export function withLink(node: CanvasNode, callback: SignatureJson): CanvasNode {
  switch (node.kind) {
    case 'task':
      return { ...node, options: append(node.options, 'link', callback) };
    case 'chain':
      return { ...node, tasks: mapLast(node.tasks, (last) => withLinkAtEnd(last, callback)) };
    case 'group': {
      const unasking = writeSignature(withImmutable(readSignature(callback)));
      return {
        ...node,
        tasks: node.tasks.map((task, index) => (index === 0 ? withLink(task, unasking) : task)),
      };
    }
    case 'chord':
      return { ...node, body: withLink(node.body, callback) };
  }
}

function withLinkAtEnd(node: CanvasNode, callback: SignatureJson): CanvasNode {
  if (node.kind !== 'group') return withLink(node, callback);
  return { ...node, tasks: node.tasks.map((task) => withLinkAtEnd(task, callback)) };
}

/** Whether error callbacks of a chord go to its header too: `task_allow_error_cb_on_chord_header`. */
export interface ErrbackPlaces {
  readonly chordHeader: boolean;
}

/** The same, followed by an error callback when it fails: all steps of a chain, all members of a group, a chord's body. */
export function withErrback(
  node: CanvasNode,
  errback: SignatureJson,
  places: ErrbackPlaces = { chordHeader: false },
): CanvasNode {
  const linked = (other: CanvasNode): CanvasNode => withErrback(other, errback, places);
  switch (node.kind) {
    case 'task':
      return { ...node, options: append(node.options, 'link_error', errback) };
    case 'chain':
    case 'group':
      return { ...node, tasks: node.tasks.map(linked) };
    case 'chord': {
      const header = places.chordHeader
        ? { ...node.header, tasks: node.header.tasks.map(linked) }
        : node.header;
      return { ...node, header, body: linked(node.body) };
    }
  }
}

/** The same callback twice is once, as in Celery. */
function append(options: SignatureOptions, name: string, signature: SignatureJson): SignatureOptions {
  const before = signaturesIn(options[name]);
  if (before.some((other) => isDeepStrictEqual(other, signature))) return options;
  return { ...options, [name]: [...before, signature] };
}

function mapLast<Item>(items: readonly Item[], map: (item: Item) => Item): readonly Item[] {
  return items.map((item, index) => (index === items.length - 1 ? map(item) : item));
}
