import { isoUtc, parseIso } from '../core/time.ts';
import type { Envelope, MessageProperties } from '../message/message.ts';
import type { RetryRequest } from '../message/outcome.ts';
import { serializerByName } from '../message/registry.ts';
import type { Request } from './request.ts';

/** The message of a task's next run: that of this run, with one retry more, its time, and what `retry()` changed. */
export function nextRun(request: Request, retry: RetryRequest, origin: string): Envelope {
  const { envelope, headers } = request;
  const changed = optionsOf(retry.options);
  const { body, contentType, contentEncoding, compression } = nextBody(envelope, retry);
  const expires = changed.expiresIso ?? headers.expires;
  return {
    body,
    contentType,
    contentEncoding,
    headers: {
      ...without(envelope.headers, 'compression'),
      ...(compression !== undefined && { compression }),
      retries: headers.retries + 1,
      eta: isoUtc(retry.etaMs),
      expires,
      shadow: changed.shadow ?? headers.shadow,
      timelimit: [changed.timeLimit ?? headers.timelimit[0], changed.softTimeLimit ?? headers.timelimit[1]],
      // It is sent from inside itself: a task without a parent is its own.
      parent_id: headers.parent_id ?? headers.id,
      root_id: headers.root_id ?? headers.id,
      origin,
      ...(retry.body !== null && { argsrepr: retry.body.argsrepr, kwargsrepr: retry.body.kwargsrepr }),
      ...changed.headers,
    },
    properties: nextProperties(envelope.properties, changed, mayVanish(request, changed) ? expires : null),
  };
}

/**
 * Whether the broker may drop the message in silence when it expires. Where a chord or the rest of a chain waits for the task,
 * its first message had no `expiration`, so that a worker sees it expire, and no later one gets it.
 */
function mayVanish({ envelope, headers }: Request, { expiresIso }: ChangedOptions): boolean {
  if (envelope.properties.expiration !== undefined) return true;
  return expiresIso !== undefined && headers.expires === null && headers.group === null;
}

interface NextBody {
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly compression: unknown;
}

function nextBody(envelope: Envelope, retry: RetryRequest): NextBody {
  if (retry.body === null) return { ...envelope, compression: envelope.headers.compression };
  const { bytes, serializer } = retry.body.value;
  const { contentType, contentEncoding } = serializerByName(serializer);
  return { body: bytes, contentType, contentEncoding, compression: undefined };
}

function nextProperties(
  arrived: MessageProperties,
  changed: ChangedOptions,
  expires: string | null,
): MessageProperties {
  return {
    ...without(arrived, 'expiration'),
    deliveryMode: changed.deliveryMode ?? arrived.deliveryMode ?? 2,
    ...(changed.priority !== undefined && { priority: changed.priority }),
    ...(changed.replyTo !== undefined && { replyTo: changed.replyTo }),
    ...(expires !== null && { expiration: String(Math.max(0, Math.round(parseIso(expires) - Date.now()))) }),
  };
}

interface ChangedOptions {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly expiresIso: string | undefined;
  readonly shadow: string | undefined;
  readonly timeLimit: number | undefined;
  readonly softTimeLimit: number | undefined;
  readonly priority: number | undefined;
  readonly replyTo: string | undefined;
  readonly deliveryMode: 1 | 2 | undefined;
}

/** `apply_async` options in Celery's names, as they came from the process that ran the task. */
function optionsOf(options: RetryRequest['options']): ChangedOptions {
  const { headers, expires, delivery_mode: mode } = options;
  return {
    headers: isRecord(headers) ? headers : {},
    expiresIso: typeof expires === 'number' ? isoUtc(Date.now() + expires * 1000) : text(expires),
    shadow: text(options.shadow),
    timeLimit: number(options.time_limit),
    softTimeLimit: number(options.soft_time_limit),
    priority: number(options.priority),
    replyTo: text(options.reply_to),
    deliveryMode: mode === 1 || mode === 2 ? mode : undefined,
  };
}

function without<T extends object, Name extends string>(record: T, name: Name): Omit<T, Name> {
  // fromEntries makes own properties, whatever their names.
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name)) as Omit<T, Name>;
}

function text(value: unknown): string | undefined {
  if (value instanceof Date) return isoUtc(value);
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
