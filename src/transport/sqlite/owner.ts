import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { newTaskId } from '../../core/task-id.ts';
import type { Row } from '../../sqlite/driver.ts';

/** Who holds leases: one connection of one process. */
export interface Owner {
  readonly id: string;
  /** The machine, with the process id space where it has several (containers). */
  readonly host: string;
  readonly pid: number;
  /** When the process started, in the system's own form: tells it from a later one of the same pid. `''` where unknown. */
  readonly started: string;
}

/** How long a lease lasts that nobody renews; counts for holders on other machines only. */
export const LEASE_MS = 30_000;
export const RENEW_MS = 10_000;

// The owners of this process that are connected; its other ones are leftovers of connections that broke.
const connected = new Set<string>();
let host: string | undefined;

export function newOwner(): Owner {
  const owner = { id: newTaskId(), host: thisHost(), pid: process.pid, started: startOf(process.pid) ?? '' };
  connected.add(owner.id);
  return owner;
}

export function ownerLeft({ id }: Owner): void {
  connected.delete(id);
}

/**
 * Whether the holder of leases still lives.
 *
 * Where its process can be looked at, only that counts: one that is blocked, stopped or was asleep with its laptop keeps what it
 * holds. Elsewhere the lease decides.
 */
export function isAlive(row: Row, now: number): boolean {
  const { id, host: where, pid, started, expires_at: expiresAt } = row;
  if (where !== thisHost()) return Number(expiresAt) > now;
  if (pid === process.pid && started === (startOf(process.pid) ?? '')) return connected.has(String(id));
  return processLives(Number(pid), String(started));
}

function processLives(pid: number, started: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  // A zombie, or a later process that was given the same number, holds nothing.
  return started === '' || startOf(pid) === started;
}

/** Linux: clock ticks from boot to the start of a process; undefined when it is gone, a zombie, or the system has no /proc. */
function startOf(pid: number): string | undefined {
  const stat = text(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The name of the program, in parentheses, may hold anything.
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || state === 'Z' || state === 'X' ? undefined : fields[18];
}

function thisHost(): string {
  // Containers may share a host name, but not a space of process ids; after a reboot all of them are new.
  host ??= [
    hostname(),
    text(() => readlinkSync('/proc/self/ns/pid')),
    text(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
  ].join(' ');
  return host;
}

function text(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    // Not Linux, or the process is gone.
    return undefined;
  }
}
