import type { Celery } from '../../app/celery.ts';
import type { Logger } from '../../core/logger.ts';
import type { Pool } from '../../pool/pool.ts';
import type { Holding } from '../holding.ts';
import type { WorkerState } from '../state.ts';

/** What control commands see and change of a worker. */
export interface WorkerView {
  readonly app: Celery;
  readonly hostname: string;
  readonly holding: Holding;
  readonly state: WorkerState;
  readonly pool: Pool;
  readonly logger: Logger;
}

/** Arguments by name, as they came. */
export type ControlArguments = Readonly<Record<string, unknown>>;

/** One remote control command. */
export interface ControlCommand {
  readonly name: string;
  /** Whether it changes the worker (`control`) or asks it (`inspect`). */
  readonly kind: 'control' | 'inspect';
  /** Its arguments, as a usage line shows them. */
  readonly usage: string;
  /** Arguments without which it does not run, in the order of its handler in Celery. */
  readonly required?: readonly string[];
  /** @returns the reply: `{ ok: … }`, `{ error: … }` or data */
  run(worker: WorkerView, args: ControlArguments): unknown;
}

/** Runs a command as Celery calls its handler. @throws {TypeError} in Python's words: a required argument is missing */
export function runCommand(command: ControlCommand, worker: WorkerView, args: ControlArguments): unknown {
  const missing = (command.required ?? []).filter((name) => !(name in args)).map((name) => `'${name}'`);
  if (missing.length > 0) {
    const many = missing.length > 1 ? 's' : '';
    throw new TypeError(
      `${command.name}() missing ${missing.length} required positional argument${many}: ${missing.join(' and ')}`,
    );
  }
  return command.run(worker, args);
}

/** The control commands of a worker, by name. */
export class Panel {
  readonly #commands: ReadonlyMap<string, ControlCommand>;

  constructor(commands: readonly ControlCommand[]) {
    this.#commands = new Map(commands.map((command) => [command.name, command]));
  }

  get(name: string): ControlCommand | undefined {
    return this.#commands.get(name);
  }
}
