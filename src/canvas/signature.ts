/** Signatures as trees of values: read from and written to the JSON form that Celery's clients and workers exchange. */
import { InvalidTaskError } from '../core/errors.ts';
import { saferepr } from '../core/python-repr.ts';
import type { SignatureJson } from '../message/message.ts';

/** `apply_async` options in Celery's names. */
export type SignatureOptions = Readonly<Record<string, unknown>>;

export type Kwargs = Readonly<Record<string, unknown>>;

/** One call, not yet made. */
export interface TaskNode {
  readonly kind: 'task';
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Kwargs;
  readonly options: SignatureOptions;
  /** Takes no arguments of whatever it follows. */
  readonly immutable: boolean;
}

/** Steps that follow each other. */
export interface ChainNode {
  readonly kind: 'chain';
  readonly tasks: readonly CanvasNode[];
  readonly options: SignatureOptions;
}

/** Members that run side by side. */
export interface GroupNode {
  readonly kind: 'group';
  readonly tasks: readonly CanvasNode[];
  readonly options: SignatureOptions;
}

/** A group and what is called with its results. */
export interface ChordNode {
  readonly kind: 'chord';
  readonly header: GroupNode;
  readonly body: CanvasNode;
  readonly options: SignatureOptions;
}

/** Arguments given to a composite are pushed down to the tasks that take them, so only tasks have any. */
export type CanvasNode = TaskNode | ChainNode | GroupNode | ChordNode;

/** A signature in its JSON form, or something that has one. */
export type SignatureLike = SignatureJson | { toJSON(): SignatureJson };

/** The JSON form of a signature, whether it is given as such or as a `Signature`. */
export function signatureJson(value: SignatureLike): SignatureJson {
  return 'toJSON' in value ? value.toJSON() : value;
}

/**
 * Reads the JSON form of a signature, as Python writes it; parts that are left out have their defaults.
 * @throws {InvalidTaskError} it is none
 */
export function readSignature(value: unknown): CanvasNode {
  const json = isSignatureLike(value) ? value.toJSON() : value;
  if (!isRecord(json) || typeof json['task'] !== 'string') {
    throw new InvalidTaskError(`This is not a signature: ${saferepr(json, 200)}`);
  }
  const args = listOf(json['args']);
  const kwargs = recordOf(json['kwargs']);
  const options = recordOf(json['options']);
  const immutable = json['immutable'] === true;
  const node = readComposite(json, kwargs, options);
  if (node === undefined) return { kind: 'task', task: json['task'], args, kwargs, options, immutable };
  const called = args.length === 0 ? node : withArguments(node, args);
  return immutable ? withImmutable(called) : called;
}

function readComposite(
  json: Readonly<Record<string, unknown>>,
  kwargs: Kwargs,
  options: SignatureOptions,
): CanvasNode | undefined {
  switch (json['subtask_type']) {
    case 'chain':
      return { kind: 'chain', tasks: readAll(kwargs['tasks']), options };
    case 'group':
      return { kind: 'group', tasks: readAll(kwargs['tasks']), options };
    case 'chord':
      return {
        kind: 'chord',
        header: readHeader(kwargs['header']),
        body: readSignature(kwargs['body']),
        options,
      };
    default:
      return undefined;
  }
}

/** A header is a list of signatures, a group, or one signature. */
function readHeader(header: unknown): GroupNode {
  if (Array.isArray(header)) return { kind: 'group', tasks: readAll(header), options: {} };
  const node = readSignature(header);
  return node.kind === 'group' ? node : { kind: 'group', tasks: [node], options: {} };
}

function readAll(tasks: unknown): readonly CanvasNode[] {
  return listOf(tasks).map(readSignature);
}

/** The JSON form, as Python writes and reads it. */
export function writeSignature(node: CanvasNode): SignatureJson {
  switch (node.kind) {
    case 'task':
      return {
        ...{ task: node.task, args: node.args, kwargs: node.kwargs, options: node.options },
        ...{ subtask_type: null, immutable: node.immutable },
      };
    case 'chain':
      return composite('chain', { tasks: node.tasks.map(writeSignature) }, node.options);
    case 'group':
      return composite('group', { tasks: node.tasks.map(writeSignature) }, node.options);
    case 'chord': {
      const header = writeHeader(node.header);
      return composite('chord', { kwargs: {}, header, body: writeSignature(node.body) }, node.options);
    }
  }
}

/** A list until its ids are fixed, as in Python. */
function writeHeader(header: GroupNode): unknown {
  const isPlain = Object.keys(header.options).length === 0;
  return isPlain ? header.tasks.map(writeSignature) : writeSignature(header);
}

function composite(type: string, kwargs: Kwargs, options: SignatureOptions): SignatureJson {
  return { task: `celery.${type}`, args: [], kwargs, options, subtask_type: type, immutable: false };
}

/** The same with arguments before its own, and keyword arguments over its own; what is immutable takes neither. */
export function withArguments(node: CanvasNode, args: readonly unknown[], kwargs: Kwargs = {}): CanvasNode {
  const given = (other: CanvasNode): CanvasNode => withArguments(other, args, kwargs);
  switch (node.kind) {
    case 'task':
      return taskWithArguments(node, args, kwargs);
    case 'chain':
      return { ...node, tasks: node.tasks.map((task, index) => (index === 0 ? given(task) : task)) };
    case 'group':
      return { ...node, tasks: node.tasks.map(given) };
    case 'chord':
      return { ...node, header: { ...node.header, tasks: node.header.tasks.map(given) } };
  }
}

export function taskWithArguments(node: TaskNode, args: readonly unknown[], kwargs: Kwargs): TaskNode {
  if (node.immutable) return node;
  return { ...node, args: [...args, ...node.args], kwargs: { ...node.kwargs, ...kwargs } };
}

/** The same, taking no arguments of what it follows. */
export function withImmutable(node: CanvasNode, immutable = true): CanvasNode {
  const set = (other: CanvasNode): CanvasNode => withImmutable(other, immutable);
  switch (node.kind) {
    case 'task':
      return { ...node, immutable };
    case 'chain':
      return { ...node, tasks: node.tasks.map((task, index) => (index === 0 ? set(task) : task)) };
    case 'group':
      return { ...node, tasks: node.tasks.map(set) };
    case 'chord':
      return { ...node, header: { ...node.header, tasks: node.header.tasks.map(set) } };
  }
}

/** The same with more options, which go before those it has. */
export function withOptions<Node extends CanvasNode>(node: Node, options: SignatureOptions): Node {
  return { ...node, options: { ...node.options, ...options } };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSignatureLike(value: unknown): value is { toJSON(): SignatureJson } {
  return isRecord(value) && typeof value['toJSON'] === 'function' && typeof value['task'] !== 'function';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}
