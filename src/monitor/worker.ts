import type { EventFields } from '../message/event.ts';

/** A worker is given up after so many heartbeats that did not come. */
const MISSED_HEARTBEATS = 2;
/** Arrivals that are remembered. */
const MAX_HEARTBEATS = 4;

/** Fields about the event, not about the worker. */
const OF_THE_EVENT: ReadonlySet<string> = new Set(['type', 'hostname', 'timestamp', 'local_received']);

/** A worker as its events show it. */
export class MonitoredWorker {
  /** Node name. */
  readonly hostname: string;
  /** What its events last said, by Celery's names: `pid`, `freq`, `active`, `processed`, `loadavg`, `sw_ident`, … */
  readonly fields: Readonly<Record<string, unknown>> = {};
  /** When its last four life signs arrived, in seconds since the epoch, oldest first. Empty: it has gone. */
  readonly heartbeats: number[] = [];

  constructor(hostname: string) {
    this.hostname = hostname;
  }

  get pid(): number | null {
    return number(this.fields.pid);
  }

  /** Seconds between its heartbeats. */
  get freq(): number {
    return number(this.fields.freq) ?? 60;
  }

  /** Tasks that run there now. */
  get active(): number | null {
    return number(this.fields.active);
  }

  /** Tasks it has taken since it started. */
  get processed(): number | null {
    return number(this.fields.processed);
  }

  /** Of its machine over 1, 5 and 15 minutes. */
  get loadavg(): readonly number[] | null {
    const { loadavg } = this.fields;
    return Array.isArray(loadavg) ? (loadavg as readonly number[]) : null;
  }

  /** When it counts as lost, in seconds since the epoch, unless a life sign comes. */
  get heartbeatExpires(): number {
    return (this.heartbeats.at(-1) ?? 0) + this.freq * MISSED_HEARTBEATS;
  }

  get alive(): boolean {
    return this.heartbeats.length > 0 && Date.now() / 1000 < this.heartbeatExpires;
  }

  /** As Celery shows it. */
  get statusString(): 'ONLINE' | 'OFFLINE' {
    return this.alive ? 'ONLINE' : 'OFFLINE';
  }

  /** Node name and process. */
  get id(): string {
    return `${this.hostname}.${this.pid ?? 'None'}`;
  }

  /** Takes what one of its own events says. */
  told(event: EventFields): void {
    const fields = Object.entries(event).filter(([name]) => !OF_THE_EVENT.has(name));
    Object.assign(this.fields, Object.fromEntries(fields));
  }

  /** It lives. @param atS seconds since the epoch */
  livedAt(atS: number): void {
    this.heartbeats.push(atS);
    const before = this.heartbeats.at(-2);
    if (before !== undefined && before > atS) this.heartbeats.sort((one, other) => one - other);
    if (this.heartbeats.length > MAX_HEARTBEATS) this.heartbeats.shift();
  }

  /** It said that it ends. */
  left(): void {
    this.heartbeats.length = 0;
  }
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
