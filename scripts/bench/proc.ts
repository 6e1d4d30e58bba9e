import { readdirSync, readFileSync } from 'node:fs';

/** Processes of a tree, the root first. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? parentOf(pid) : undefined;
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** CPU seconds that each process has used so far. */
export type CpuUse = ReadonlyMap<number, number>;

export function cpuOf(pids: readonly number[]): CpuUse {
  return new Map(pids.map((pid) => [pid, cpuSeconds(pid)]));
}

/** Seconds used between two readings; a process that is new counts whole. */
export function cpuBetween(before: CpuUse, after: CpuUse, pids: Iterable<number> = after.keys()): number {
  let sum = 0;
  for (const pid of pids) sum += Math.max(0, (after.get(pid) ?? 0) - (before.get(pid) ?? 0));
  return sum;
}

export interface Memory {
  /** MB, summed over the processes: shared pages count once for each. */
  readonly rss: number;
  /** MB; a shared page counts as its share. */
  readonly pss: number;
}

export function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let pss = 0;
  for (const pid of pids) {
    const text = read(`/proc/${pid}/smaps_rollup`);
    rss += kilobytes(text, 'Rss');
    pss += kilobytes(text, 'Pss');
  }
  return { rss: rss / 1024, pss: pss / 1024 };
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}: *(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
}

/** In nanoseconds over all threads where the kernel keeps that, else in its ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  let sum = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
    }
  } catch {
    return 0; // The process has gone.
  }
  if (sum > 0) return sum / 1e9;
  const fields = statOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)[1];
  return parent === undefined ? undefined : Number(parent);
}

/** The fields after the name, which may contain blanks. */
function statOf(pid: number): string[] {
  const text = read(`/proc/${pid}/stat`);
  return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Empty when the process or thread has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
