import type { TraceJob } from '../app/run.ts';
import { DecodeError } from '../core/errors.ts';
import { readTable } from '../message/amqp-table.ts';
import { jsonSerializer } from '../message/json.ts';
import type { DeliveryInfo, TaskHeaders } from '../message/message.ts';
import type { RemoteError } from '../message/outcome.ts';
import { parseTaskHeaders, type ParsedHeaders } from '../message/protocol2.ts';
import { scanTaskHeaders } from '../message/table-headers.ts';
import type { Frame, Part } from './frames.ts';
import type { Job } from './pool.ts';

/**
 * Jobs on their way to a child: `J<number>,<context>,<form>` and, where the context is new, its JSON. The parts are the body, the
 * headers, and what the form says of more.
 */
export const JOB_MARK = 'J';

/** What jobs of one task that came by one queue have in common; a child is told of it once. */
type JobContext = Omit<Job, 'id' | 'headers' | 'userHeaders' | 'headerBytes' | 'body' | 'correlationId'> & {
  readonly reportMemory: boolean;
};

/** Letters of the form: how the headers are written, and where the correlation id is. */
const HEADERS_AS_THEY_CAME = 'a';
const HEADERS_JSON = 'j';
const HEADERS_JSON_AND_EXTRAS = 'k';
const CORRELATION_IS_ID = 'i';
const CORRELATION_IS_PART = 'p';
const NO_CORRELATION = 'n';

/** Contexts that are remembered; beyond it both sides begin anew. */
const MOST_CONTEXTS = 256;

/** Writes the jobs of one child. */
export class JobFrameWriter {
  readonly #known = new Map<string, number>();
  /** That of the last job, and its number: the next one mostly has the same. */
  #last: { readonly context: JobContext; readonly number: number } | undefined;

  /** @throws {EncodeError} a header has no form in JSON */
  encode(number: number, job: Job, reportMemory: boolean): Frame {
    const parts: Part[] = [job.body];
    const form = pushHeaders(job, parts) + pushCorrelation(job, parts);
    const last = this.#last;
    if (last !== undefined && last.context.reportMemory === reportMemory && isAlike(last.context, job)) {
      return { header: `${JOB_MARK}${number},${last.number},${form}`, parts };
    }
    const context = contextOf(job, reportMemory);
    const text = JSON.stringify(context);
    const known = this.#known.get(text);
    const at = known ?? this.#add(text);
    this.#last = { context, number: at };
    return { header: `${JOB_MARK}${number},${at},${form}${known === undefined ? text : ''}`, parts };
  }

  /** What was encoded last did not reach the child: it is told of each context again. */
  forget(): void {
    this.#known.clear();
    this.#last = undefined;
  }

  #add(text: string): number {
    if (this.#known.size >= MOST_CONTEXTS) this.#known.clear();
    const number = this.#known.size;
    this.#known.set(text, number);
    return number;
  }
}

function isAlike(a: JobContext, b: Job): boolean {
  const [from, to] = [a.deliveryInfo, b.deliveryInfo];
  return (
    a.task === b.task &&
    from.routing_key === to.routing_key &&
    from.exchange === to.exchange &&
    from.priority === to.priority &&
    from.redelivered === to.redelivered &&
    a.replyTo === b.replyTo &&
    a.contentType === b.contentType &&
    a.contentEncoding === b.contentEncoding &&
    a.compression === b.compression &&
    a.ignoreResult === b.ignoreResult &&
    a.timeLimit === b.timeLimit &&
    a.softTimeLimit === b.softTimeLimit &&
    a.hostname === b.hostname &&
    a.failure === b.failure
  );
}

function contextOf(job: Job, reportMemory: boolean): JobContext {
  const { task, contentType, contentEncoding, compression, deliveryInfo, replyTo, hostname } = job;
  const { ignoreResult, timeLimit, softTimeLimit, failure } = job;
  const rest = { ignoreResult, timeLimit, softTimeLimit, failure };
  return {
    task,
    contentType,
    contentEncoding,
    compression,
    deliveryInfo,
    replyTo,
    hostname,
    ...rest,
    reportMemory,
  };
}

function pushHeaders({ headerBytes, headers, userHeaders }: Job, parts: Part[]): string {
  if (headerBytes !== undefined) {
    parts.push(headerBytes);
    return HEADERS_AS_THEY_CAME;
  }
  const hasStamps = Object.keys(headers.stamps).length > 0;
  const plain = hasStamps ? { ...headers, stamps: {} } : headers;
  parts.push(JSON.stringify(plain));
  if (userHeaders === null && !hasStamps) return HEADERS_JSON;
  // These two hold whatever the sender put there, dates and bytes among it; the rest is plain JSON by its type.
  parts.push(jsonSerializer.encode({ userHeaders, stamps: headers.stamps }));
  return HEADERS_JSON_AND_EXTRAS;
}

function pushCorrelation({ correlationId, id }: Job, parts: Part[]): string {
  if (correlationId === id) return CORRELATION_IS_ID;
  if (correlationId === null) return NO_CORRELATION;
  parts.push(correlationId);
  return CORRELATION_IS_PART;
}

/** A job as a child reads it, and its number there. */
export interface ArrivedMessage {
  readonly kind: 'job';
  readonly number: number;
  readonly job: TraceJob;
  readonly reportMemory: boolean;
}

/** Reads what a `JobFrameWriter` has written. */
export class JobFrameReader {
  readonly #contexts: JobContext[] = [];

  /** @throws {DecodeError} */
  decode(header: string, parts: readonly Buffer[]): ArrivedMessage {
    const end = header.indexOf('{');
    const [number = '', at = '', form = ''] = header
      .slice(JOB_MARK.length, end === -1 ? undefined : end)
      .split(',');
    if (end !== -1) this.#contexts[Number(at)] = JSON.parse(header.slice(end)) as JobContext;
    const context = this.#contexts[Number(at)];
    const [body, headers] = parts;
    if (context === undefined || body === undefined || headers === undefined)
      throw new DecodeError(MALFORMED);
    const { reportMemory } = context;
    return {
      kind: 'job',
      number: Number(number),
      job: new ArrivedJob(context, form, parts, body, headers),
      reportMemory,
    };
  }
}

const MALFORMED = 'A job for a child process lacks its context, its body or its headers.';

function readHeaders(bytes: Buffer): ParsedHeaders {
  const headers = scanTaskHeaders(bytes);
  return headers === undefined ? parseTaskHeaders(readTable(bytes)) : { headers, userHeaders: null };
}

/** Its headers are read when somebody asks for them: most tasks never do. */
class ArrivedJob implements TraceJob {
  readonly body: Buffer;
  readonly #context: JobContext;
  readonly #form: string;
  readonly #parts: readonly Buffer[];
  readonly #headerBytes: Buffer;
  #parsed: ParsedHeaders | undefined;

  constructor(
    context: JobContext,
    form: string,
    parts: readonly Buffer[],
    body: Buffer,
    headerBytes: Buffer,
  ) {
    this.#context = context;
    this.#form = form;
    this.#parts = parts;
    this.body = body;
    this.#headerBytes = headerBytes;
  }

  get id(): string {
    return this.headers.id;
  }

  get task(): string {
    return this.#context.task;
  }

  get contentType(): string {
    return this.#context.contentType;
  }

  get contentEncoding(): string {
    return this.#context.contentEncoding;
  }

  get compression(): string | undefined {
    return this.#context.compression;
  }

  get ignoreResult(): boolean {
    return this.#context.ignoreResult;
  }

  get failure(): RemoteError | undefined {
    return this.#context.failure;
  }

  get deliveryInfo(): DeliveryInfo {
    return this.#context.deliveryInfo;
  }

  get replyTo(): string | null {
    return this.#context.replyTo;
  }

  get hostname(): string {
    return this.#context.hostname;
  }

  get headers(): TaskHeaders {
    return this.#read().headers;
  }

  get userHeaders(): Readonly<Record<string, unknown>> | null {
    return this.#read().userHeaders;
  }

  get correlationId(): string | null {
    const [, where] = this.#form;
    if (where === CORRELATION_IS_ID) return this.id;
    return where === NO_CORRELATION ? null : (this.#parts.at(-1)?.toString() ?? null);
  }

  #read(): ParsedHeaders {
    this.#parsed ??= this.#parse();
    return this.#parsed;
  }

  #parse(): ParsedHeaders {
    const [how] = this.#form;
    if (how === HEADERS_AS_THEY_CAME) return readHeaders(this.#headerBytes);
    const headers = JSON.parse(this.#headerBytes.toString()) as TaskHeaders;
    const extras = this.#parts[2];
    if (how === HEADERS_JSON || extras === undefined) return { headers, userHeaders: null };
    const { userHeaders, stamps } = jsonSerializer.decode(extras) as Pick<Job, 'userHeaders'> &
      Pick<TaskHeaders, 'stamps'>;
    return { headers: { ...headers, stamps }, userHeaders };
  }
}
