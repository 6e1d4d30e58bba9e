import { createHash } from 'node:crypto';
import os from 'node:os';
import type { Queue } from '../transport/topology.ts';

/** What the banner shows. */
export interface BannerFacts {
  readonly hostname: string;
  readonly version: string;
  /** Name of the app. */
  readonly app: string;
  /** Module that holds the app; with its name it makes the id that is shown. */
  readonly file: string | undefined;
  /** URLs, with passwords masked. */
  readonly transport: string;
  readonly results: string;
  /** `2 (prefork)`. */
  readonly concurrency: string;
  readonly taskEvents: boolean;
  readonly queues: readonly Queue[];
  readonly now: Date;
}

const ART = [
  ' --------------',
  '--- ***** -----',
  '-- ******* ----',
  '- *** --- * ---',
  '- ** ----------',
  '- ** ----------',
  '- ** ----------',
  '- ** ----------',
  '- *** --- * ---',
  '-- ******* ----',
  '--- ***** -----',
  ' --------------',
];

const MARGIN = ' '.repeat(16);

/** Celery's start-up banner, without the list of tasks. */
export function banner(facts: BannerFacts): string {
  const queues = facts.queues.map(queueLine);
  const lines = [
    `${facts.hostname} v${facts.version}`,
    '',
    `${platform()} ${timestamp(facts.now)}`,
    '',
    '[config]',
    `.> app:         ${facts.app}:${appId(facts)}`,
    `.> transport:   ${facts.transport}`,
    `.> results:     ${facts.results}`,
    `.> concurrency: ${facts.concurrency}`,
    `.> task events: ${facts.taskEvents ? 'ON' : 'OFF (enable -E to monitor tasks in this worker)'}`,
    '',
    '[queues]',
    ...queues,
    ...(queues.length === 1 ? [''] : []),
  ];
  const drawn = lines.map((line, index) =>
    ART[index] === undefined ? MARGIN + line : `${ART[index]} ${line}`,
  );
  return [' ', ...drawn, ''].join('\n');
}

/** The tasks this worker runs. */
export function taskList(names: Iterable<string>): string {
  const lines = [...names].sort().map((name) => `  . ${name}`);
  return ['[tasks]', ...lines, ''].join('\n');
}

function queueLine(queue: Queue): string {
  const exchange = queue.exchange ?? { name: '', type: 'direct' };
  return `.> ${queue.name.padEnd(16)} exchange=${exchange.name}(${exchange.type}) key=${queue.routingKey}`;
}

/** The same at every start, unlike the address that Python shows. */
function appId({ app, file }: BannerFacts): string {
  return `0x${createHash('sha256')
    .update(`${app}\n${file ?? ''}`)
    .digest('hex')
    .slice(0, 12)}`;
}

function platform(): string {
  return `${os.type()}-${os.release()}-${os.machine()}-with-node${process.versions.node}`;
}

function timestamp(now: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  return `${day} ${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':')}`;
}
