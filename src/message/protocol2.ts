import { InvalidTaskError } from '../core/errors.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import { compress } from './compression.ts';
import { HeaderReader } from './header-reader.ts';
import type { Embed, Envelope, MessageProperties, TaskBody, TaskHeaders } from './message.ts';
import type { EncodedValue } from './outcome.ts';
import { type DecodeLimits, type MessageBody, openBody, serializerByName } from './registry.ts';

/** A body passed on as it arrived, with what the message said about it. */
export interface ArrivedBody {
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** The `compression` header it came with. */
  readonly compression: string | null;
}

/** Everything that decides what one task message says. What is left out has Celery's default. */
export interface TaskCall {
  readonly task: string;
  readonly id: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly embed?: Embed;
  /** Name of the serializer, e.g. `json`. */
  readonly serializer: string;
  /** `zlib` or `gzip`; null and undefined = none. */
  readonly compression?: string | null | undefined;
  /** The user's own headers; they stand beside Celery's, and win. */
  readonly headers?: Readonly<Record<string, unknown>> | null | undefined;
  readonly shadow?: string | null | undefined;
  readonly etaIso?: string | null | undefined;
  readonly expiresIso?: string | null | undefined;
  /** After so many milliseconds the broker may drop the message. */
  readonly expirationMs?: number | undefined;
  readonly group?: string | null | undefined;
  readonly groupIndex?: number | null | undefined;
  readonly retries?: number | undefined;
  /** Seconds. */
  readonly timeLimit?: number | null | undefined;
  /** Seconds. */
  readonly softTimeLimit?: number | null | undefined;
  /** The task's own id when left out. */
  readonly rootId?: string | null | undefined;
  readonly parentId?: string | null | undefined;
  /** What monitors show instead of the arguments, for those that are secret. */
  readonly argsrepr?: string | undefined;
  readonly kwargsrepr?: string | undefined;
  /** Node name of the sender: `gen4711@host`. */
  readonly origin: string;
  readonly ignoreResult?: boolean | undefined;
  readonly replacedTaskNesting?: number | undefined;
  readonly stampedHeaders?: readonly string[] | null | undefined;
  readonly stamps?: Readonly<Record<string, unknown>> | undefined;
  readonly replyTo?: string | undefined;
  /** The task's id when left out. */
  readonly correlationId?: string | undefined;
  /** 2, which survives a restart of the broker, when left out. */
  readonly deliveryMode?: 1 | 2 | undefined;
  readonly priority?: number | null | undefined;
  /** The whole body `[args, kwargs, embed]`, when it is encoded already; `args` and `kwargs` then only give the reprs. */
  readonly body?: EncodedValue | ArrivedBody | undefined;
}

/** Nothing follows the task. */
export const NO_EMBED: Embed = { callbacks: null, errbacks: null, chain: null, chord: null };

/**
 * The message of one call, protocol 2 as Celery 5.6 writes it.
 * @throws {EncodeError} when the arguments have no form in the serializer, or there is no such compression
 * @throws {ImproperlyConfigured} when there is no such serializer
 */
export function buildTaskMessage(call: TaskCall): Envelope {
  const packed = packBody(call);
  const headers = { ...taskHeaders(call), ...call.headers };
  return {
    body: packed.body,
    contentType: packed.contentType,
    contentEncoding: packed.contentEncoding,
    headers: packed.compression === null ? headers : { ...headers, compression: packed.compression },
    properties: taskProperties(call),
  };
}

function packBody(call: TaskCall): ArrivedBody {
  const given = call.body;
  if (given !== undefined && 'body' in given) return given;
  const serializer = serializerByName(given?.serializer ?? call.serializer);
  const { contentType, contentEncoding } = serializer;
  const bytes = given?.bytes ?? serializer.encode([call.args, call.kwargs, call.embed ?? NO_EMBED]);
  if (call.compression === undefined || call.compression === null) {
    return { body: bytes, contentType, contentEncoding, compression: null };
  }
  const compressed = compress(bytes, call.compression);
  return { body: compressed.bytes, contentType, contentEncoding, compression: compressed.compression };
}

function taskHeaders(call: TaskCall): TaskHeaders {
  return {
    // Names the dialect of the message rather than of the sender; Celery writes no other.
    lang: 'py',
    task: call.task,
    id: call.id,
    shadow: call.shadow ?? null,
    eta: call.etaIso ?? null,
    expires: call.expiresIso ?? null,
    group: call.group ?? null,
    group_index: call.groupIndex ?? null,
    retries: call.retries ?? 0,
    timelimit: [call.timeLimit ?? null, call.softTimeLimit ?? null],
    root_id: call.rootId ?? call.id,
    parent_id: call.parentId ?? null,
    argsrepr: call.argsrepr ?? tupleRepr(call.args),
    kwargsrepr: call.kwargsrepr ?? saferepr(call.kwargs),
    origin: call.origin,
    ignore_result: call.ignoreResult ?? false,
    replaced_task_nesting: call.replacedTaskNesting ?? 0,
    stamped_headers: call.stampedHeaders ?? null,
    stamps: call.stamps ?? {},
  };
}

function taskProperties(call: TaskCall): MessageProperties {
  const { replyTo, priority, expirationMs } = call;
  return {
    correlationId: call.correlationId ?? call.id,
    ...(replyTo === undefined ? undefined : { replyTo }),
    deliveryMode: call.deliveryMode ?? 2,
    ...(priority === undefined || priority === null ? undefined : { priority }),
    ...(expirationMs === undefined
      ? undefined
      : { expiration: String(Math.max(0, Math.round(expirationMs))) }),
  };
}

/** Whether a message is a task by protocol 2: its headers name one. */
export function isTaskMessage(envelope: { readonly headers: Readonly<Record<string, unknown>> }): boolean {
  return Object.hasOwn(envelope.headers, 'task');
}

/** The headers of a task message: Celery's own, typed, and those the sender added. */
export interface ParsedHeaders {
  readonly headers: TaskHeaders;
  /** Null when there are none. */
  readonly userHeaders: Readonly<Record<string, unknown>> | null;
}

/**
 * Reads the headers of a task message; only `task` and `id` must be there, the others have their defaults.
 * @throws {InvalidTaskError} which names the header that is missing or of the wrong kind
 */
export function parseTaskHeaders(headers: Readonly<Record<string, unknown>>): ParsedHeaders {
  const read = new HeaderReader(headers);
  return {
    headers: {
      lang: read.text('lang') ?? 'py',
      task: read.required('task'),
      id: read.required('id'),
      shadow: read.text('shadow'),
      eta: read.text('eta'),
      expires: read.text('expires'),
      group: read.text('group'),
      group_index: read.number('group_index'),
      retries: read.number('retries') ?? 0,
      timelimit: read.timelimit(),
      root_id: read.text('root_id'),
      parent_id: read.text('parent_id'),
      argsrepr: read.text('argsrepr') ?? '',
      kwargsrepr: read.text('kwargsrepr') ?? '',
      origin: read.text('origin') ?? '',
      ignore_result: headers.ignore_result === true,
      replaced_task_nesting: read.number('replaced_task_nesting') ?? 0,
      stamped_headers: read.stampedHeaders(),
      stamps: read.stamps(),
    },
    userHeaders: userHeadersOf(headers),
  };
}

const CELERY_HEADERS: ReadonlySet<string> = new Set([
  ...['lang', 'task', 'id', 'shadow', 'eta', 'expires', 'group', 'group_index', 'retries', 'timelimit'],
  ...['root_id', 'parent_id', 'argsrepr', 'kwargsrepr', 'origin', 'ignore_result', 'replaced_task_nesting'],
  ...['stamped_headers', 'stamps', 'compression', 'redelivered'],
]);

function userHeadersOf(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  const names = Object.keys(headers).filter((name) => !CELERY_HEADERS.has(name));
  // fromEntries makes own properties, whatever their names.
  return names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, headers[name]]));
}

/**
 * The parts of a decoded body: `[args, kwargs, embed]`, or the dict of protocol 1.
 * @throws {InvalidTaskError} when it is neither
 */
export function parseTaskBody(value: unknown): TaskBody {
  if (Array.isArray(value) && (value.length === 2 || value.length === 3)) {
    const [args, kwargs, embed] = value as readonly unknown[];
    return { args: argsOf(args), kwargs: kwargsOf(kwargs), embed: embedOf(embed) };
  }
  if (isRecord(value) && (Object.hasOwn(value, 'args') || Object.hasOwn(value, 'kwargs'))) {
    const { args, kwargs, callbacks, errbacks, chord } = value;
    return {
      args: argsOf(args ?? []),
      kwargs: kwargsOf(kwargs ?? {}),
      embed: embedOf({ callbacks, errbacks, chord }),
    };
  }
  throw new InvalidTaskError('the body of the task message is not [args, kwargs, embed]');
}

/**
 * Decodes the body of a task message. What follows the task (`embed`) keeps the typed extras as they are on the wire: it is
 * passed on, and must arrive as it was sent.
 * @throws {ContentDisallowed}
 * @throws {DecodeError}
 * @throws {InvalidTaskError}
 */
export function decodeTaskBody(
  message: MessageBody,
  accept: ReadonlySet<string>,
  limits: DecodeLimits,
): TaskBody {
  const { serializer, bytes } = openBody(message, accept, limits);
  const { args, kwargs, embed } = parseTaskBody(serializer.parse(bytes));
  return { args: argsOf(serializer.revive(args)), kwargs: kwargsOf(serializer.revive(kwargs)), embed };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function argsOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidTaskError('the args of the task message are not a list');
  return value;
}

function kwargsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new InvalidTaskError('the kwargs of the task message are not a dict');
  return value;
}

function embedOf(value: unknown): Embed {
  if (value === undefined || value === null) return NO_EMBED;
  if (!isRecord(value)) throw new InvalidTaskError('the third part of the task message is not a dict');
  for (const name of ['callbacks', 'errbacks', 'chain'] as const) {
    const list = value[name] ?? null;
    if (list !== null && !(Array.isArray(list) && list.every(isSignature))) throw notSignature(name);
  }
  const chord = value.chord ?? null;
  if (chord !== null && !isSignature(chord)) throw notSignature('chord');
  return {
    callbacks: (value.callbacks ?? null) as Embed['callbacks'],
    errbacks: (value.errbacks ?? null) as Embed['errbacks'],
    chain: (value.chain ?? null) as Embed['chain'],
    chord: chord as Embed['chord'],
  };
}

function isSignature(value: unknown): boolean {
  return isRecord(value) && typeof value.task === 'string';
}

function notSignature(name: string): InvalidTaskError {
  return new InvalidTaskError(`'${name}' of the task message holds something that is not a signature`);
}
