import { DecodeError } from '../core/errors.ts';
import { jsonSerializer } from '../message/json.ts';
import type { TaskHeaders } from '../message/message.ts';
import type { EncodedValue, Outcome, RemoteError } from '../message/outcome.ts';
import type { ChildInit } from './child-init.ts';
import type { Frame } from './frames.ts';
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

export function encodeParentMessage(message: ParentMessage): Frame {
  if (message.kind !== 'job') return { header: message, parts: [] };
  const { body, userHeaders, headers, ...rest } = message.job;
  const parts = [body];
  const hasStamps = Object.keys(headers.stamps).length > 0;
  // These two hold whatever the sender put there, dates and bytes among it; the rest is plain JSON by its type.
  if (userHeaders !== null || hasStamps) {
    parts.push(jsonSerializer.encode({ userHeaders, stamps: headers.stamps }));
  }
  const plain = hasStamps ? { ...headers, stamps: {} } : headers;
  return {
    header: { ...message, job: { ...rest, headers: plain } },
    parts,
  };
}

export function decodeParentMessage(header: unknown, parts: readonly Buffer[]): ParentMessage {
  const read = readHeader(header);
  if (read.kind !== 'job') return read as unknown as ParentMessage;
  const job = read['job'] as Omit<Job, 'body' | 'userHeaders'>;
  const extra = parts[1];
  const user =
    extra === undefined
      ? { userHeaders: null }
      : (jsonSerializer.decode(extra) as Pick<Job, 'userHeaders'> & Pick<TaskHeaders, 'stamps'>);
  const headers = 'stamps' in user ? { ...job.headers, stamps: user.stamps } : job.headers;
  return {
    kind: 'job',
    number: Number(read['number']),
    job: { ...job, headers, userHeaders: user.userHeaders, body: partAt(parts, 0) },
    reportMemory: read['reportMemory'] === true,
  };
}

export function encodeChildMessage(message: ChildMessage): Frame {
  const parts: Buffer[] = [];
  const refer: Refer = (value) => ({ serializer: value.serializer, part: parts.push(value.bytes) - 1 });
  if (message.kind === 'state') {
    const { meta, ...update } = message.update;
    return { header: { ...message, update: { ...update, meta: refer(meta) } }, parts };
  }
  if (message.kind !== 'outcome') return { header: message, parts };
  return { header: { ...message, outcome: referOutcome(message.outcome, refer) }, parts };
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

export function decodeChildMessage(header: unknown, parts: readonly Buffer[]): ChildMessage {
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

function readHeader(header: unknown): Header {
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
