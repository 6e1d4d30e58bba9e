/** Stamps: headers that mark all tasks of a canvas (Celery 5.3). */
import type { SignatureJson } from '../message/message.ts';
import { signaturesIn } from './links.ts';
import { readSignature, writeSignature } from './signature.ts';
import type { CanvasNode, SignatureOptions } from './signature.ts';

/** The same, every task in it and every callback with these stamps beside those it has. */
export function stamped(node: CanvasNode, stamps: Readonly<Record<string, unknown>>): CanvasNode {
  const all = (nodes: readonly CanvasNode[]): readonly CanvasNode[] =>
    nodes.map((each) => stamped(each, stamps));
  const options = stampedOptions(node.options, stamps);
  switch (node.kind) {
    case 'task':
      return { ...node, options };
    case 'chain':
    case 'group':
      return { ...node, tasks: all(node.tasks) };
    case 'chord': {
      const header = { ...node.header, tasks: all(node.header.tasks) };
      return { ...node, header, body: stamped(node.body, stamps) };
    }
  }
}

function stampedOptions(
  options: SignatureOptions,
  stamps: Readonly<Record<string, unknown>>,
): SignatureOptions {
  const before = Array.isArray(options['stamped_headers']) ? (options['stamped_headers'] as unknown[]) : [];
  const json = (signature: SignatureJson): SignatureJson =>
    writeSignature(stamped(readSignature(signature), stamps));
  const links = ['link', 'link_error'].flatMap((name) => {
    const signatures = signaturesIn(options[name]);
    return signatures.length === 0 ? [] : [[name, signatures.map(json)] as const];
  });
  return {
    ...options,
    ...stamps,
    ...Object.fromEntries(links),
    stamped_headers: [...new Set([...before, ...Object.keys(stamps)])],
  };
}
