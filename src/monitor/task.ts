import * as states from '../core/states.ts';
import type { EventFields } from '../message/event.ts';
import type { MonitoredWorker } from './worker.ts';

/** The state that each event tells of; the event of any other name tells of a state of that name. */
const STATE_OF: ReadonlyMap<string, string> = new Map([
  ['sent', states.PENDING],
  ['received', states.RECEIVED],
  ['started', states.STARTED],
  ['failed', states.FAILURE],
  ['retried', states.RETRY],
  ['succeeded', states.SUCCESS],
  ['revoked', states.REVOKED],
  ['rejected', states.REJECTED],
]);

/** All that a `task-received` still adds when the task is known to be further on. */
const RECEIVED_FIELDS = ['name', 'args', 'kwargs', 'parent_id', 'root_id', 'retries', 'eta', 'expires'];

const INFO_FIELDS = [
  'args',
  'kwargs',
  'retries',
  'result',
  'eta',
  'runtime',
  'expires',
  'exception',
  'exchange',
  'routing_key',
  'root_id',
  'parent_id',
] as const;

/** What events tell about a task, by the names of their fields. */
export interface TaskFields {
  readonly name?: string;
  /** As Python prints them. */
  readonly args?: string;
  readonly kwargs?: string;
  readonly retries?: number;
  /** ISO-8601. */
  readonly eta?: string | null;
  readonly expires?: string | null;
  readonly root_id?: string | null;
  readonly parent_id?: string | null;
  /** As Python prints it. */
  readonly result?: string;
  /** Seconds. */
  readonly runtime?: number;
  readonly exception?: string;
  readonly traceback?: string;
  readonly queue?: string;
  readonly exchange?: string;
  readonly routing_key?: string;
  /** When it was sent, received, …: the time of that event, in seconds since the epoch. */
  readonly sent?: number;
  readonly received?: number;
  readonly started?: number;
  readonly succeeded?: number;
  readonly failed?: number;
  readonly retried?: number;
  readonly revoked?: number;
  readonly rejected?: number;
  readonly [field: string]: unknown;
}

/** Fields that the task has under other names, or that are about the event. */
const OF_THE_EVENT: ReadonlySet<string> = new Set(['type', 'uuid', 'timestamp', 'clock']);

/** A task as its events show it. */
export class MonitoredTask {
  readonly uuid: string;
  readonly fields: TaskFields = {};
  /** State by the events so far; one that comes late does not take it back. */
  state: string = states.PENDING;
  /** Time of the event that gave it this state, in seconds since the epoch. */
  timestamp: number | null = null;
  /** Logical clock of the last event. */
  clock = 0;
  /** Who has it. */
  worker: MonitoredWorker | null = null;
  /** Who sent it, as its `task-sent` says. */
  client: string | null = null;

  constructor(uuid: string) {
    this.uuid = uuid;
  }

  get name(): string | null {
    return this.fields.name ?? null;
  }

  /** Whether its state is final. */
  get ready(): boolean {
    return states.READY_STATES.has(this.state);
  }

  get origin(): string | null {
    return this.worker === null ? this.client : this.worker.id;
  }

  /** The fields to show: those named, or the usual ones, that are known. */
  info(fields: readonly string[] = INFO_FIELDS, extra: readonly string[] = []): Record<string, unknown> {
    const known = [...fields, ...extra].map((name) => [name, this.fields[name]] as const);
    return Object.fromEntries(known.filter(([, value]) => value !== undefined && value !== null));
  }

  /** Takes one event. @param what `received` of `task-received` */
  told(what: string, event: EventFields): void {
    const own = this.fields as Record<string, unknown>;
    const { timestamp, clock } = event;
    const fields = Object.entries(event).filter(([name]) => !OF_THE_EVENT.has(name));
    const known = STATE_OF.get(what);
    if (known !== undefined) own[what] = timestamp;
    const state = known ?? what.toUpperCase();
    if (this.#isBefore(state)) {
      const kept = fields.filter(([name]) => state !== states.RECEIVED || RECEIVED_FIELDS.includes(name));
      Object.assign(own, Object.fromEntries(kept));
    } else {
      Object.assign(own, Object.fromEntries(fields));
      this.state = state;
      if (typeof timestamp === 'number') this.timestamp = timestamp;
      if (typeof clock === 'number') this.clock = clock;
    }
  }

  /** A retry starts everything again; all else only goes on. */
  #isBefore(state: string): boolean {
    if (state === states.RETRY || this.state === states.RETRY) return false;
    return states.precedence(state) > states.precedence(this.state);
  }
}
