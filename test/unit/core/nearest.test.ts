import { expect, it } from 'vitest';
import { didYouMean, nearest } from '../../../src/core/nearest.ts';

const NAMES = [
  'task_serializer',
  'task_routes',
  'task_queues',
  'worker_concurrency',
  'amqp',
  'sqlite',
  'redis',
];

it.each([
  ['task_serialiser', 'task_serializer'],
  ['taskSerializer', 'task_serializer'],
  ['TASK_ROUTES', 'task_routes'],
  ['task_route', 'task_routes'],
  ['concurrency', undefined],
  ['worker_concurency', 'worker_concurrency'],
  ['ampq', 'amqp'],
  ['sqllite', 'sqlite'],
  ['http', undefined],
  ['', undefined],
  ['completely_different_thing', undefined],
])('%s → %s', (name, found) => {
  expect(nearest(name, NAMES)).toBe(found);
});

it('prefers the nearest, and the first of equals', () => {
  expect(nearest('abcd', ['abxx', 'abcx', 'abcy'])).toBe('abcx');
  expect([didYouMean('ampq', NAMES), didYouMean('http', NAMES)]).toEqual([' Did you mean amqp?', '']);
});
