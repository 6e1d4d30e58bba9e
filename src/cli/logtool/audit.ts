/** How a task ended, by the words of the log. */
export type LogEnd = 'succeeded' | 'failed' | 'other';

/** A line of a worker's log about one task. */
export type TaskLine =
  | { readonly kind: 'received'; readonly name: string; readonly id: string }
  | { readonly kind: 'ended'; readonly name: string; readonly id: string; readonly end: LogEnd }
  /** It was received once more or runs again: a retry, a redelivery. */
  | { readonly kind: 'retry'; readonly name: string; readonly id: string };

/** A line that begins with a time: `[2026-11-22 15:09:43,508: INFO/MainProcess] …`. */
const START = /^\[\d{4}-\d\d-\d\d [^\]]*\] ?(.*)$/;

// As Celery has logged since 4.0, in 3.x and 4.x (`Received task:`), and for tasks that never ran.
const FORMS: readonly [RegExp, TaskLine['kind'], LogEnd?][] = [
  [/^Task (\S+)\[([^\]]+)\] received/, 'received'],
  [/^Received task: (\S+)\[([^\]]+)\]/, 'received'],
  [/^Task (\S+)\[([^\]]+)\] succeeded\b/, 'ended', 'succeeded'],
  [/^Task (\S+)\[([^\]]+)\] retry\b/, 'retry'],
  [/^Task (\S+)\[([^\]]+)\] (?:ignored|reject)\b/, 'ended', 'other'],
  [/^Task (\S+)\[([^\]]+)\] (?:raised|INTERNAL ERROR)/, 'ended', 'failed'],
  [/^Hard time limit \([^)]*\) exceeded for (\S+)\[([^\]]+)\]/, 'ended', 'failed'],
  [/^Discarding revoked task: (\S+)\[([^\]]+)\]/, 'ended', 'other'],
];

/** What a line says about a task; undefined for any other line. */
export function taskLine(line: string): TaskLine | undefined {
  const text = START.exec(line)?.[1];
  if (text === undefined) return undefined;
  for (const [form, kind, end = 'other'] of FORMS) {
    const [, name, id] = form.exec(text) ?? [];
    if (name === undefined || id === undefined) continue;
    return kind === 'ended' ? { kind, name, id, end } : { kind, name, id };
  }
  return undefined;
}

/** Whether a line begins an entry of the log; what follows belongs to it. */
export function isStart(line: string): boolean {
  return START.test(line);
}

/** One entry of a log: a line with a time, and the lines behind it, such as a traceback. */
export interface LogEntry {
  readonly line: string;
  readonly more: readonly string[];
  readonly task: TaskLine | undefined;
}

/** Puts lines together to entries. Lines before the first time, such as the banner, are an entry each. */
export async function* entriesOf(lines: AsyncIterable<string>): AsyncGenerator<LogEntry> {
  let current: { line: string; more: string[] } | undefined;
  for await (const line of lines) {
    if (current !== undefined && !isStart(line)) {
      current.more.push(line);
      continue;
    }
    if (current !== undefined) yield { ...current, task: taskLine(current.line) };
    current = isStart(line) ? { line, more: [] } : undefined;
    if (current === undefined) yield { line, more: [], task: undefined };
  }
  if (current !== undefined) yield { ...current, task: taskLine(current.line) };
}

/** Counts over a log. */
export class Audit {
  /** Messages received of each task, retries and redeliveries included. */
  readonly types = new Map<string, number>();
  /** Ids of tasks that were received. */
  readonly received = new Map<string, string>();
  readonly ended = new Map<string, LogEnd>();

  add({ task }: LogEntry): void {
    if (task === undefined) return;
    if (task.kind === 'received') {
      this.received.set(task.id, task.name);
      this.types.set(task.name, (this.types.get(task.name) ?? 0) + 1);
      // Received again: the end that was logged before was not its last.
      this.ended.delete(task.id);
    } else if (task.kind === 'ended') this.ended.set(task.id, task.end);
  }

  count(end: LogEnd): number {
    return [...this.ended.values()].filter((each) => each === end).length;
  }

  /** Received, and nothing was logged of their end. */
  get incomplete(): string[] {
    return [...this.received.keys()].filter((id) => !this.ended.has(id));
  }

  /** The most frequent first. */
  get byFrequency(): [string, number][] {
    return [...this.types].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  }
}
