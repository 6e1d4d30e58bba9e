/** Signatures as Python shows them: `tasks.add(2, 2) | mul(8)`. */
import { pythonRepr } from '../core/python-repr.ts';
import type { CanvasNode } from './signature.ts';

/** In one line; the module of the first task is not repeated. */
export function displaySignature(node: CanvasNode): string {
  const first = firstTask(node);
  const text = display(node);
  return first === undefined ? text : withoutRepeats(text, first.slice(0, first.lastIndexOf('.') + 1));
}

function display(node: CanvasNode): string {
  switch (node.kind) {
    case 'task':
      return call(node.task, [...node.args.map(pythonRepr), ...keywords(node.kwargs)]);
    case 'chain':
      return node.tasks.length === 0 ? 'chain(<empty>)' : node.tasks.map(display).join(' | ');
    case 'group':
      return node.tasks.length === 0 ? 'group(<empty>)' : `group((${node.tasks.map(display).join(', ')}))`;
    case 'chord': {
      const header = `[${node.header.tasks.map(display).join(', ')}]`;
      const [body, ...rest] = node.body.kind === 'chain' ? node.body.tasks : [node.body];
      if (body?.kind !== 'task') return `%${display(node.body)}(${header})`;
      const called = call(body.task, [header, ...body.args.map(pythonRepr), ...keywords(body.kwargs)]);
      return rest.length === 0 ? `%${called}` : `%(${[called, ...rest.map(display)].join(' | ')})`;
    }
  }
}

function call(task: string, args: readonly string[]): string {
  return `${task}(${args.join(', ')})`;
}

function keywords(kwargs: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(kwargs).map(([name, value]) => `${name}=${pythonRepr(value)}`);
}

function firstTask(node: CanvasNode): string | undefined {
  if (node.kind === 'task') return node.task;
  const first = node.kind === 'chord' ? node.body : node.tasks[0];
  return first && firstTask(first);
}

function withoutRepeats(text: string, module: string): string {
  const at = text.indexOf(module);
  if (module === '' || at === -1) return text;
  const end = at + module.length;
  return text.slice(0, end) + text.slice(end).replaceAll(module, '');
}
