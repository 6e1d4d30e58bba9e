import { pythonRepr } from '../core/python-repr.ts';
import type { CeleryEvent } from '../message/event.ts';

/** Tasks whose calls are remembered, for the events that name only the id. */
const MAX_TASKS = 4095;

const WORDS: ReadonlyMap<string, string> = new Map([
  ['worker-offline', 'shutdown'],
  ['worker-online', 'started'],
  ['worker-heartbeat', 'heartbeat'],
]);

/** Writes events as lines, as `celery events --dump` prints them. */
export class EventLines {
  readonly #calls = new Map<string, string>();

  line(event: CeleryEvent): string {
    const { type: given, hostname, timestamp, uuid, ...rest } = event;
    const type = given.toLowerCase();
    const fields: Record<string, unknown> = rest;
    let task = '';
    if (type.startsWith('task-')) {
      task = ` ${this.#call(type, shown(uuid), fields)}`;
    } else if (uuid !== undefined) fields.uuid = uuid;
    const text = Object.keys(fields)
      .sort()
      .map((name) => `${name}=${shown(fields[name])}`)
      .join(', ');
    const words = WORDS.get(type) ?? type.replaceAll('-', ' ');
    return `${hostname} [${utc(timestamp)}] ${words}${text === '' ? '' : ':'}${task} ${text}`;
  }

  /** The call of a task; what it shows is taken out of the fields. */
  #call(type: string, uuid: string, fields: Record<string, unknown>): string {
    if (type !== 'task-received' && type !== 'task-sent') return this.#calls.get(uuid) ?? '';
    const { name, args, kwargs } = fields;
    for (const field of ['name', 'args', 'kwargs']) Reflect.deleteProperty(fields, field);
    const call = `${shown(name)}(${uuid}) args=${shown(args)} kwargs=${shown(kwargs)}`;
    this.#calls.set(uuid, call);
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > MAX_TASKS && oldest !== undefined) this.#calls.delete(oldest);
    return call;
  }
}

/** As Python's `str`. */
function shown(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

/** As Python prints a datetime: `2026-11-22 15:22:51.771573`. */
function utc(seconds: number): string {
  // The fraction by itself: the whole number has no room for its last digit.
  const micros = Math.round((seconds - Math.floor(seconds)) * 1e6);
  const [carry, rest] = micros === 1e6 ? [1, 0] : [0, micros];
  const second = new Date((Math.floor(seconds) + carry) * 1000);
  const whole = second.toISOString().slice(0, 19).replace('T', ' ');
  return rest === 0 ? whole : `${whole}.${String(rest).padStart(6, '0')}`;
}
