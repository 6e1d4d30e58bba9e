import { encodeJson, parseJson } from '../../message/json.ts';

/** What stands in `unacked`: the envelope as it was, and where it had been sent to. */
export interface HeldRecord {
  readonly envelope: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** Not a message: it goes back to the list that `routingKey` names, as it was. */
  readonly malformed: boolean;
}

const END = /,\s*("(?:[^"\\]|\\.)*"|null)\s*,\s*("(?:[^"\\]|\\.)*"|null)\s*\]\s*$/;

/** Undefined for what kombu could not have written. */
export function readRecord(text: string): HeldRecord | undefined {
  const end = END.exec(text);
  if (end === null || !text.startsWith('[')) return undefined;
  const [, exchange = '""', routingKey = '""'] = end;
  const envelope = text.slice(1, end.index);
  const malformed = envelope.startsWith('"');
  return {
    envelope: malformed ? String(parseJson(envelope)) : envelope,
    exchange: textOf(exchange),
    routingKey: textOf(routingKey),
    malformed,
  };
}

function textOf(json: string): string {
  const value = parseJson(json);
  return typeof value === 'string' ? value : '';
}

const HEADERS = /"headers"\s*:\s*\{(\s*\})?/;
const INFO = /"delivery_info"\s*:\s*\{(\s*\})?/g;

/**
 * The envelope marked as delivered before, in headers and delivery_info, as kombu does. Done on the text, so that numbers and
 * the body stay as they were; a quoted name with a colon after it cannot stand inside a JSON text.
 */
export function markRedelivered(envelope: string): string {
  if (envelope.includes('"redelivered"')) return markAgain(envelope);
  const [headers] = [HEADERS.exec(envelope)];
  const info = [...envelope.matchAll(INFO)].at(-1);
  const places = [headers, info].filter((match) => match !== null && match !== undefined);
  places.sort((a, b) => b.index - a.index);
  let text = envelope;
  for (const match of places) {
    const at = match.index + match[0].indexOf('{') + 1;
    text = `${text.slice(0, at)}"redelivered": true${match[1] === undefined ? ', ' : ''}${text.slice(at)}`;
  }
  return text;
}

function markAgain(envelope: string): string {
  if ((envelope.match(/"redelivered"\s*:\s*true/g) ?? []).length >= 2) return envelope;
  const message = parseJson(envelope) as {
    headers?: Record<string, unknown>;
    properties?: { delivery_info?: Record<string, unknown> };
  };
  if (message.headers) message.headers['redelivered'] = true;
  if (message.properties?.delivery_info) message.properties.delivery_info['redelivered'] = true;
  return encodeJson(message);
}

/** The priority of an envelope whose other parts are not needed. */
export function priorityOf(envelope: string): number | undefined {
  const priority = [...envelope.matchAll(/"priority"\s*:\s*(-?\d+)/g)].at(-1)?.[1];
  return priority === undefined ? undefined : Number(priority);
}

/** The tag of an envelope; undefined for what kombu did not write. */
export function deliveryTagOf(envelope: string): string | undefined {
  return [...envelope.matchAll(/"delivery_tag"\s*:\s*"([^"\\]+)"/g)].at(-1)?.[1];
}
