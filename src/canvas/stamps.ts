/** Stamps: headers that mark all tasks of a canvas (Celery 5.3). */
import type { SignatureJson } from '../message/message.ts';
import { signaturesIn } from './links.ts';
import { readSignature, writeSignature } from './signature.ts';
import type { CanvasNode, SignatureOptions } from './signature.ts';

type Stamps = Readonly<Record<string, unknown>>;
type Mark = (options: SignatureOptions) => SignatureOptions;

/** The same, every task in it and every callback with these stamps beside those it has, of one name in place of it. */
export function stamped(node: CanvasNode, stamps: Stamps): CanvasNode {
  return marked(node, (options) => ({ ...options, ...stamps, ...namesOf(options, stamps) }));
}

/** The same, but of one name its own stays. */
export function stampedBelow(node: CanvasNode, stamps: Stamps): CanvasNode {
  if (Object.keys(stamps).length === 0) return node;
  return marked(node, (options) => ({ ...stamps, ...options, ...namesOf(options, stamps) }));
}

function namesOf({ stamped_headers: before }: SignatureOptions, stamps: Stamps): SignatureOptions {
  const own = Array.isArray(before) ? (before as unknown[]) : [];
  return { stamped_headers: [...new Set([...own, ...Object.keys(stamps)])] };
}

/** Tasks have stamps; what a composite had of its own would go over those of its tasks. */
function marked(node: CanvasNode, mark: Mark): CanvasNode {
  const all = (nodes: readonly CanvasNode[]): readonly CanvasNode[] =>
    nodes.map((each) => marked(each, mark));
  const links = markedLinks(node.options, mark);
  switch (node.kind) {
    case 'task':
      return { ...node, options: { ...mark(node.options), ...links } };
    case 'chain':
    case 'group':
      return { ...node, tasks: all(node.tasks), options: { ...node.options, ...links } };
    case 'chord': {
      const header = { ...node.header, tasks: all(node.header.tasks) };
      return { ...node, header, body: marked(node.body, mark), options: { ...node.options, ...links } };
    }
  }
}

function markedLinks(options: SignatureOptions, mark: Mark): SignatureOptions {
  const json = (signature: SignatureJson): SignatureJson =>
    writeSignature(marked(readSignature(signature), mark));
  const links = ['link', 'link_error'].flatMap((name) => {
    const signatures = signaturesIn(options[name]);
    return signatures.length === 0 ? [] : [[name, signatures.map(json)] as const];
  });
  return Object.fromEntries(links);
}
