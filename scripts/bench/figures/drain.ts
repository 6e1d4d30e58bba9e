import type { BrokerName, Case, Choices, Figure, Results } from '../model.ts';
import { CPU, drain, LEFT, MEMORY, RATE } from './drained.ts';

const CONTENDERS = ['celery-ts', 'celery-ts x4', 'celery', 'raw'];
/** Those for which a concurrency means nothing, or little: in one case each. */
const ONCE = ['celery-ts solo', 'bullmq', 'celery-node'];

/** The brokers and kinds of results that were asked for, in pairs that make sense. */
export function pairs({ brokers, results }: Choices): { broker: BrokerName; results: Results }[] {
  return brokers.flatMap((broker) =>
    results
      .filter((each) => broker === 'rabbitmq' || each !== 'rpc')
      .map((each) => ({ broker, results: each })),
  );
}

export function labelOf(of: { broker: BrokerName; results: Results }, ...rest: readonly string[]): string {
  const results = of.results === 'off' ? 'results off' : `${of.results} results`;
  return [of.broker, results, ...rest].join(', ');
}

export const drainFigure: Figure = {
  name: 'drain',
  title: 'Drain of waiting no-op tasks',
  metrics: [RATE, ...CPU, ...MEMORY, LEFT],
  cases(choices) {
    const tasks = choices.tasks ?? (choices.quick ? 1_000 : 20_000);
    const concurrency = choices.concurrency ?? [2, 1, 4];
    return pairs(choices).flatMap((pair) =>
      concurrency.map((each, index): Case => {
        const once = index === 0 ? [...ONCE, 'bullmq sandbox'] : ['bullmq sandbox'];
        const contenders = [...CONTENDERS, ...once].filter(
          (name) => pair.broker === 'redis' || !name.startsWith('bullmq'),
        );
        return { label: labelOf(pair, `-c ${each}`), ...pair, concurrency: each, tasks, contenders };
      }),
    );
  },
  measure: drain,
};
