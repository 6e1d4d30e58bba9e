import { AsyncLocalStorage } from 'node:async_hooks';
import { WeakList } from '../core/weak-list.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { Celery } from './celery.ts';
import type { TaskContext } from './request.ts';

/** What a call made inside a task inherits from it; `context.ts` sets it around each run. */
export interface RunningTask {
  readonly id: string;
  readonly rootId: string;
  /** From the message, for `task_inherit_parent_priority`. */
  readonly priority: number | null;
  readonly isEager: boolean;
  readonly context: TaskContext;
  /** Remembers a task that this one sent. */
  addChild(child: ResultTuple): void;
}

/** The task that runs in this chain of calls, if any. */
export const runningTask = new AsyncLocalStorage<RunningTask>();

// The newest app, and what every app gets: `sharedTask` has to reach apps that it cannot name.
let current: Celery | undefined;
const apps = new WeakList<Celery>();
const shared: ((app: Celery) => void)[] = [];

/** The app that was made last, as in Celery. */
export function currentApp(): Celery | undefined {
  return current;
}

/** Makes the new app the current one and gives it all shared tasks. */
export function introduceApp(app: Celery): void {
  current = app;
  apps.add(app);
  for (const register of shared) register(app);
}

/** Runs for every app there is and will be. */
export function onEveryApp(register: (app: Celery) => void): void {
  shared.push(register);
  for (const app of apps) register(app);
}
