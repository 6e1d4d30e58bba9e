// The same app as a user of TypeScript writes it: the worker has to compile it at its start.
import { Celery } from 'celery-ts';
import { done } from './counter.js';

interface Settings {
  readonly broker: string;
  readonly backend: string | null;
}

const { broker, backend } = JSON.parse(process.env['BENCH'] ?? '') as Settings;

export const app = new Celery('tasks', { broker, ...(backend === null ? {} : { backend }) });

export const add = app.task('tasks.add', (x: number, y: number): number => {
  done();
  return x + y;
});
