import { randomUUID } from 'node:crypto';

/** A new task id: a random UUID. */
export function newTaskId(): string {
  return randomUUID();
}
