import { DecodeError } from '../core/errors.ts';
import { jsonSerializer } from '../message/json.ts';
import type { EncodedValue, Outcome, RemoteError } from '../message/outcome.ts';
import type { ChildInit } from './child-init.ts';
import type { Frame } from './frames.ts';
import type { ArrivedMessage, JobFrameReader, JobFrameWriter } from './job-frames.ts';
import { JOB_MARK } from './job-frames.ts';
import type { Job, StateUpdate } from './pool.ts';

/** What the supervisor tells a child. */
export type ParentMessage =
  /** Before `init`, to a child that starts early: load what the app's module will need. */
  | { readonly kind: 'prepare'; readonly file: string }
  | {
      readonly kind: 'init';
      readonly init: ChildInit;
      readonly name: string;
      readonly index: number;
      readonly title: string;
      /** Jobs run at the same time; else one after the other, in the order in which they come. */
      readonly isConcurrent: boolean;
    }
  /** `number` counts the jobs of a child. */
  | { readonly kind: 'job'; readonly number: number; readonly job: Job; readonly reportMemory: boolean }
  /** Give back the jobs that have not begun. */
  | { readonly kind: 'recall' }
  /** The soft time limit of that job has passed. */
  | { readonly kind: 'soft-limit'; readonly number: number; readonly seconds: number }
  /** That job is given up: abort its signal. Only where jobs run at the same time. */
  | { readonly kind: 'abort'; readonly number: number }
  /** Answer to `state`; `error` says why the state could not be stored. */
  | { readonly kind: 'stored'; readonly sequence: number; readonly error: string | null }
  /** No more jobs: run the exit handlers and end. */
  | { readonly kind: 'shutdown' };

/** What a child tells the supervisor. */
export type ChildMessage =
  /** The process runs and listens; it goes on to load the app. */
  | { readonly kind: 'alive' }
  | { readonly kind: 'ready'; readonly tasks: readonly string[] }
  /** The app could not be loaded. */
  | { readonly kind: 'failed'; readonly message: string; readonly stack: string | null }
  | {
      readonly kind: 'state';
      readonly number: number;
      readonly sequence: number;
      readonly update: StateUpdate;
    }
  | {
      readonly kind: 'outcome';
      readonly number: number;
      readonly outcome: Outcome;
      /** Resident memory in KiB, when the job asked for it. */
      readonly memoryKb: number | null;
      /** The process is not to be trusted with another job. */
      readonly isBroken: boolean;
    }
  /** Answer to `abort`; `isListening` says whether the task has its signal, and may end by itself. */
  | { readonly kind: 'aborted'; readonly number: number; readonly isListening: boolean }
  /** A job that was given up has ended; how counts for nothing. */
  | { readonly kind: 'ended'; readonly number: number }
  /** A job that was given ahead, and not begun, will not be run here. */
  | { readonly kind: 'returned'; readonly number: number }
  /** The process is not to be trusted any more, between two jobs. */
  | { readonly kind: 'broken' };

interface PartReference {
  readonly serializer: string;
  readonly part: number;
}

type Header = Readonly<Record<string, unknown>> & { readonly kind: string };

/** What a child reads of it. */
export type ReadParentMessage = Exclude<ParentMessage, { kind: 'job' }> | ArrivedMessage;

/** @param jobs writes the jobs of this child */
export function encodeParentMessage(message: ParentMessage, jobs: JobFrameWriter): Frame {
  if (message.kind === 'job') return jobs.encode(message.number, message.job, message.reportMemory);
  return { header: JSON.stringify(message), parts: [] };
}

/** @throws {DecodeError} */
export function decodeParentMessage(
  header: string,
  parts: readonly Buffer[],
  jobs: JobFrameReader,
): ReadParentMessage {
  if (header.startsWith(JOB_MARK)) return jobs.decode(header, parts);
  return readHeader(header) as unknown as ReadParentMessage;
}

/** The most frequent message, in a short form: `S<number>,<seconds>,<serializer>`, with the parts result and repr. */
const SUCCESS_MARK = 'S';

export function encodeChildMessage(message: ChildMessage): Frame {
  const parts: Buffer[] = [];
  const refer: Refer = (value) => ({ serializer: value.serializer, part: parts.push(value.bytes) - 1 });
  if (message.kind === 'state') {
    const { meta, ...update } = message.update;
    return { header: JSON.stringify({ ...message, update: { ...update, meta: refer(meta) } }), parts };
  }
  if (message.kind !== 'outcome') return { header: JSON.stringify(message), parts };
  const { outcome, number } = message;
  if (outcome.kind === 'success' && message.memoryKb === null && !message.isBroken && isPlain(outcome)) {
    const { seconds, result, repr } = outcome;
    const header = `${SUCCESS_MARK}${number},${seconds},${result.serializer}`;
    return { header, parts: [result.bytes, repr] };
  }
  return { header: JSON.stringify({ ...message, outcome: referOutcome(outcome, refer) }), parts };
}

type Success = Extract<Outcome, { kind: 'success' }>;

/** Nothing follows the task, and it has sent none. */
function isPlain({ children, embed, call }: Success): boolean {
  return children.length === 0 && embed === null && call === undefined;
}

const NO_CHILDREN: Success['children'] = [];

class PlainSuccess implements Success {
  readonly kind = 'success';
  readonly seconds: number;
  readonly children = NO_CHILDREN;
  readonly embed = null;
  readonly result: EncodedValue;
  readonly #repr: Buffer;

  constructor(seconds: number, result: EncodedValue, repr: Buffer) {
    this.seconds = seconds;
    this.result = result;
    this.#repr = repr;
  }

  // Only logs and events ask for it.
  get repr(): string {
    return this.#repr.toString();
  }
}

function readSuccess(header: string, parts: readonly Buffer[]): ChildMessage {
  const [number, seconds, serializer = ''] = header.slice(SUCCESS_MARK.length).split(',');
  const result = { serializer, bytes: partAt(parts, 0) };
  return {
    kind: 'outcome',
    number: Number(number),
    outcome: new PlainSuccess(Number(seconds), result, partAt(parts, 1)),
    memoryKb: null,
    isBroken: false,
  };
}

type Refer = (value: EncodedValue) => PartReference;

/** The outcome with references in place of its encoded values. */
function referOutcome(outcome: Outcome, refer: Refer): Readonly<Record<string, unknown>> {
  if (!('children' in outcome)) return outcome;
  const { call } = outcome;
  const common = {
    ...outcome,
    embed: outcome.embed === null ? null : refer(outcome.embed),
    call: call === undefined ? undefined : { args: refer(call.args), kwargs: refer(call.kwargs) },
  };
  if (outcome.kind === 'success') return { ...common, result: refer(outcome.result) };
  if (outcome.kind === 'failure') return { ...common, error: referError(outcome.error, refer) };
  if (outcome.kind === 'ignore') {
    const { replacement } = outcome;
    return { ...common, replacement: replacement === undefined ? undefined : refer(replacement) };
  }
  if (outcome.kind !== 'retry') return common;
  const { body, options } = outcome.request;
  return {
    ...common,
    error: outcome.error === null ? null : referError(outcome.error, refer),
    request: {
      ...outcome.request,
      body: body === null ? null : { ...body, value: refer(body.value) },
      options: refer(encodeAny(options)),
    },
  };
}

// Arguments of errors and options of retries are what the task made of them, dates and bytes among it.
function referError(error: RemoteError, refer: Refer): unknown {
  return { ...error, args: refer(encodeAny(error.args)) };
}

function encodeAny(value: unknown): EncodedValue {
  return { serializer: jsonSerializer.name, bytes: jsonSerializer.encode(value) };
}

/** @throws {DecodeError} */
export function decodeChildMessage(header: string, parts: readonly Buffer[]): ChildMessage {
  if (header.startsWith(SUCCESS_MARK)) return readSuccess(header, parts);
  const read = readHeader(header);
  const resolve: Resolve = (reference) => {
    const { serializer, part } = reference as PartReference;
    return { serializer, bytes: partAt(parts, part) };
  };
  if (read.kind === 'state') {
    const update = read['update'] as Record<string, unknown>;
    update['meta'] = resolve(update['meta']);
  } else if (read.kind === 'outcome') {
    resolveOutcome(read['outcome'] as Record<string, unknown>, resolve);
  }
  return read as unknown as ChildMessage;
}

type Resolve = (reference: unknown) => EncodedValue;

/** Undoes `referOutcome`, in place. */
function resolveOutcome(outcome: Record<string, unknown>, resolve: Resolve): void {
  if (isRecord(outcome['embed'])) outcome['embed'] = resolve(outcome['embed']);
  if (isRecord(outcome['replacement'])) outcome['replacement'] = resolve(outcome['replacement']);
  if (isRecord(outcome['result'])) outcome['result'] = resolve(outcome['result']);
  const { call, error, request } = outcome;
  if (isRecord(call)) outcome['call'] = { args: resolve(call['args']), kwargs: resolve(call['kwargs']) };
  // Their typed extras stay as on the wire, where the error goes next.
  if (isRecord(error)) error['args'] = jsonSerializer.parse(resolve(error['args']).bytes);
  if (!isRecord(request)) return;
  request['options'] = jsonSerializer.decode(resolve(request['options']).bytes);
  const { body } = request;
  if (isRecord(body)) body['value'] = resolve(body['value']);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function readHeader(text: string): Header {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw new DecodeError('The header of a frame between the worker and a child process is no JSON.', {
      cause: error,
    });
  }
  if (typeof header === 'object' && header !== null && 'kind' in header && typeof header.kind === 'string') {
    return header as Header;
  }
  throw new DecodeError('A frame between the worker and a child process has no kind.');
}

function partAt(parts: readonly Buffer[], index: number): Buffer {
  const part = parts[index];
  if (part === undefined) {
    throw new DecodeError(`A frame between the worker and a child process lacks its part ${index}.`);
  }
  return part;
}
