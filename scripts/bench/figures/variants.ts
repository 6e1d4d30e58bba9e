import type { Case, Choices, Figure } from '../model.ts';
import { CPU, drain, MEMORY, RATE } from './drained.ts';
import { labelOf } from './drain.ts';

function casesOf(choices: Choices, make: (of: Omit<Case, 'label' | 'contenders'>) => readonly Case[]) {
  const tasks = choices.tasks ?? (choices.quick ? 1_000 : 20_000);
  const concurrency = choices.concurrency?.[0] ?? 2;
  return choices.brokers.flatMap((broker) => make({ broker, results: 'off', concurrency, tasks }));
}

export const acks: Figure = {
  name: 'acks',
  title: 'Early and late acknowledgement',
  metrics: [RATE, ...CPU],
  cases: (choices) =>
    casesOf(choices, (of) => [
      { ...of, label: labelOf(of), contenders: ['celery-ts', 'celery-ts late', 'celery', 'celery late'] },
    ]),
  measure: drain,
};

export const logging: Figure = {
  name: 'logging',
  title: 'Logging at INFO and at WARNING',
  metrics: [RATE, ...CPU],
  cases: (choices) =>
    casesOf(choices, (of) => [
      { ...of, label: labelOf(of), contenders: ['celery-ts', 'celery-ts info', 'celery', 'celery info'] },
    ]),
  measure: drain,
};

/** Fewer tasks the larger they are, so that each payload takes about as long. */
const PAYLOADS = [
  { payload: 100, text: '100 B', share: 1 },
  { payload: 10_240, text: '10 KB', share: 0.25 },
  { payload: 1_048_576, text: '1 MB', share: 0.02 },
];

export const payload: Figure = {
  name: 'payload',
  title: 'Cost against the size of the argument',
  metrics: [RATE, ...CPU, ...MEMORY],
  cases: (choices) =>
    casesOf(choices, (of) =>
      PAYLOADS.map(({ payload: size, text, share }) => ({
        ...of,
        task: 'size',
        payload: size,
        tasks: Math.max(20, Math.round(of.tasks * share)),
        label: labelOf(of, text),
        contenders: ['celery-ts', 'celery', 'raw', ...(of.broker === 'redis' ? ['bullmq'] : [])],
      })),
    ),
  measure: drain,
};
