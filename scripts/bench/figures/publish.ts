import { clientCommand } from '../contenders.ts';
import { Skipped, type Bench, type Case, type Figure, type Values } from '../model.ts';
import { cpuBetween } from '../proc.ts';
import { Running } from '../running.ts';

interface Told {
  readonly seconds: number;
  readonly cpu: number;
}

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  const mode = of.label.endsWith('bulk') ? 'bulk' : 'one';
  if (contender === 'celery-node' && of.broker === 'rabbitmq') {
    throw new Skipped(
      '44 messages a second at most: it declares the queue for each, on a connection without TCP_NODELAY',
    );
  }
  const command = clientCommand(bench, of, contender, 'publish', mode, String(of.tasks));
  await bench.servers.reset();
  const before = bench.servers.cpu(of);
  await using client = new Running(bench, command);
  const told = lastLine<Told>(await client.output());
  const broker = cpuBetween(before, bench.servers.cpu(of));
  return {
    rate: of.tasks / told.seconds,
    cpu: (told.cpu * 1e6) / of.tasks,
    broker: (broker * 1e6) / of.tasks,
  };
}

/** What a program of a client prints last. */
export function lastLine<T>(output: string): T {
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as T;
}

export const publish: Figure = {
  name: 'publish',
  title: 'Publishing',
  metrics: [
    { key: 'rate', title: 'messages/s', unit: '/s', better: 'more', margin: 25 },
    { key: 'cpu', title: 'CPU µs/message', unit: 'µs', better: 'less', margin: 15 },
    { key: 'broker', title: 'of the servers', unit: 'µs', better: 'less' },
  ],
  cases: (choices) =>
    choices.brokers.flatMap((broker) =>
      (['one by one', 'bulk'] as const).map((mode): Case => {
        const most = mode === 'bulk' ? 20_000 : 5_000;
        const peers = broker === 'redis' ? ['bullmq', 'celery-node'] : ['celery unconfirmed', 'celery-node'];
        return {
          label: `${broker}, ${mode}`,
          broker,
          results: 'off',
          concurrency: 1,
          tasks: choices.tasks ?? (choices.quick ? 500 : most),
          contenders: ['celery-ts', 'celery', ...peers, 'raw'],
        };
      }),
    ),
  measure,
};
