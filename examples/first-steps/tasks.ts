import { Celery } from 'celery-ts';

export const app = new Celery('tasks', {
  broker: 'sqlite:///celery.db',
  backend: 'sqlite:///celery.db',
});

export const add = app.task('tasks.add', (x: number, y: number) => x + y);

export const greet = app.task('tasks.greet', async (name: string) => {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return `Hello, ${name}!`;
});
