import { AlreadyRegistered } from '../core/errors.ts';
import type { AnyTask } from './task.ts';

/** The tasks of an app by name. */
export class TaskRegistry {
  readonly #tasks = new Map<string, AnyTask>();

  /** All of them, for reading. */
  get all(): ReadonlyMap<string, AnyTask> {
    return this.#tasks;
  }

  /** @throws {AlreadyRegistered} another task has that name */
  register(task: AnyTask): void {
    if (this.#tasks.has(task.name)) {
      throw new AlreadyRegistered(
        `There is a task '${task.name}' already. Give this one another name, or import its module once only.`,
      );
    }
    this.#tasks.set(task.name, task);
  }
}
