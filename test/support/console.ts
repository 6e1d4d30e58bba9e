import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A command that was typed at a real Celery, and what it printed. */
export interface Captured {
  /** What follows `celery`, with the global options. */
  readonly words: readonly string[];
  readonly line: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** Captured as it came, stderr among stdout. */
  readonly oneStream: boolean;
}

const FOLDER = join(import.meta.dirname, '../fixtures/console');

/** Reads a captured console: `$ celery …`, its output, and the exit status. */
export function readConsole(name: string): Captured[] {
  const text = readFileSync(join(FOLDER, `${name}.txt`), 'utf8');
  return text
    .split(/^(?=\$ )/m)
    .filter((block) => /^\$ (echo n \| )?celery /.test(block))
    .map((block) => {
      const [first = ''] = block.split('\n');
      const ended = /^(?:\[exit status (\d+)\]|### exit status (\d+) after .*)$/m.exec(block);
      const output = block.slice(first.length + 1, ended?.index);
      const [stdout = '', stderr = ''] = output.split('--- stderr ---\n');
      const oneStream =
        !output.includes('--- stderr ---') && (ended?.[2] !== undefined || first.startsWith('$ echo'));
      const line = first.replace(/^\$ (echo n \| )?celery /, '');
      // Captured without quotes.
      const words = line.split(/ (?!json$)/);
      return { words, line, stdout, stderr, code: Number(ended?.[1] ?? ended?.[2]), oneStream };
    });
}

/** What differs from run to run, and from Python to Node.js, replaced by names. */
export function normalized(text: string): string {
  return (
    text
      .replaceAll(/'time_start': [\d.]+/g, "'time_start': TIME")
      .replaceAll(/"time_start": [\d.]+/g, '"time_start": TIME')
      .replaceAll(/(['"])worker_pid\1: \d+/g, '$1worker_pid$1: PID')
      .replaceAll(/(['"])eta\1: (['"])[^'"]+\2/g, '$1eta$1: ETA')
      .replaceAll(/(['"])redelivered\1: (None|null|[Ff]alse)/g, '$1redelivered$1: NO')
      .replaceAll(/"clock": \d+/g, '"clock": CLOCK')
      .replaceAll(/[\d.]+MB/g, 'SIZE')
      .replaceAll(/redis:\/\/127\.0\.0\.1:\d+\//g, 'redis://SERVER/')
      // Braces since Celery 5.6.
      .replaceAll(/tasks ([^\s{]+) flagged/g, "tasks {'$1'} flagged")
      .replaceAll(/^(Usage: |Try ')celery /gm, '$1celery-ts ')
      .replaceAll(/^(Usage: celery-ts \w+ \[OPTIONS\] COMMAND)( \[ARGS\]\.\.\.)?$/gm, '$1')
      .replaceAll(/(Error: Invalid value for '-a' \/ '--args': )(?!\{).*/g, '$1WHY')
      // The frames of a traceback, Python's and JavaScript's.
      .replaceAll(/^(Traceback .*\n)(?: +.*\n)+/gm, '$1')
      .replaceAll(/^ {4}at .*\n/gm, '')
      // Python's pretty printer leaves a line of spaces behind JSON.
      .replaceAll(/\n {4}\n/g, '\n')
  );
}
