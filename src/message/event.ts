import { DecodeError } from '../core/errors.ts';
import type { Envelope } from './message.ts';
import { serializerByName } from './registry.ts';

/** An event as it crosses the broker: the fields that all have, and those of its type, by Celery's names. */
export interface CeleryEvent {
  /** `task-received`, `worker-heartbeat`, `<group>-<what>` of your own. */
  readonly type: string;
  /** Node name of the sender. */
  readonly hostname: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  /** Whole hours that the sender's clock shows less than UTC; negative east of Greenwich. */
  readonly utcoffset: number;
  readonly pid: number;
  /** Logical clock of the sender. */
  readonly clock: number;
  readonly [field: string]: unknown;
}

/** What an event says beside its type: `{ uuid, runtime, … }`. */
export type EventFields = Readonly<Record<string, unknown>>;

/** `task` of `task-received`. */
export function eventGroup(type: string): string {
  const dash = type.indexOf('-');
  return dash === -1 ? type : type.slice(0, dash);
}

/** `worker.heartbeat` for `worker-heartbeat`. */
export function eventRoutingKey(type: string): string {
  return type.replaceAll('-', '.');
}

/** This machine's `utcoffset` now. Python's: whole hours, rounded down, of the zone with its summer time. */
export function utcOffset(now: Date = new Date()): number {
  return Math.floor(now.getTimezoneOffset() / 60);
}

/**
 * One event, or several in one message.
 * @throws {EncodeError} a field has no form in the serializer
 */
export function buildEventMessage(
  body: CeleryEvent | readonly CeleryEvent[],
  { hostname, serializer: name }: { readonly hostname: string; readonly serializer: string },
): Envelope {
  const serializer = serializerByName(name);
  return {
    body: serializer.encode(body),
    contentType: serializer.contentType,
    contentEncoding: serializer.contentEncoding,
    headers: { hostname },
    properties: { deliveryMode: 1, priority: 0 },
  };
}

/**
 * Reads the decoded body of a message of events: one or a list.
 * @throws {DecodeError} it holds something else
 */
export function parseEvents(body: unknown): readonly Readonly<Record<string, unknown>>[] {
  const events: readonly unknown[] = Array.isArray(body) ? body : [body];
  for (const event of events) {
    if (typeof event !== 'object' || event === null || !('type' in event) || typeof event.type !== 'string') {
      throw new DecodeError('an event without a type');
    }
  }
  return events as readonly Readonly<Record<string, unknown>>[];
}
