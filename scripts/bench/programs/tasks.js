// The app of celery-ts.
import { Celery } from 'celery-ts';
import { tasks } from './work.js';

const { broker, backend, settings } = JSON.parse(process.env.BENCH);

export const app = new Celery('tasks', { broker, ...(backend === null ? {} : { backend }), ...settings });

export const [add] = Object.entries(tasks).map(([name, run]) => app.task(`tasks.${name}`, run));
