import type { Celery } from '../../app/celery.ts';
import type { ControlArguments } from '../../app/control-replies.ts';
import type { ArgumentTypes } from '../../app/remote-command.ts';
import type { Logger } from '../../core/logger.ts';
import type { Pool } from '../../pool/pool.ts';
import type { Queue } from '../../transport/topology.ts';
import type { Autoscaler } from '../autoscale.ts';
import type { Holding } from '../holding.ts';
import type { Prefetch } from '../prefetch.ts';
import type { Runner } from '../runner.ts';
import type { WorkerState } from '../state.ts';

export type { ControlArguments } from '../../app/control-replies.ts';

/** The queues of the worker; see `Consumer`. */
export interface QueueSwitch {
  readonly queues: readonly Queue[];
  addQueue(queue: Queue): Promise<void>;
  cancelQueue(name: string): Promise<void>;
}

/** The events of the worker, as remote control turns them on and off. */
export interface EventSwitch {
  /** Whether events about tasks are sent. */
  readonly enabled: boolean;
  enable(): void;
  disable(): void;
  /** Sends a heartbeat now. */
  heartbeat(): void;
  /** Takes part in an election (gossip). */
  elect?(id: string, topic: string, action: unknown): void;
}

/** What control commands see and change of a worker. */
export interface WorkerView {
  readonly app: Celery;
  readonly hostname: string;
  readonly holding: Holding;
  readonly state: WorkerState;
  readonly pool: Pool;
  readonly prefetch: Prefetch;
  readonly runner: Runner;
  readonly consumer: QueueSwitch;
  /** Undefined when the worker sends none. */
  readonly events: EventSwitch | undefined;
  /** Undefined without `--autoscale`. */
  readonly autoscaler: Autoscaler | undefined;
  /** Content types that may be decoded. */
  readonly accept: ReadonlySet<string>;
  /** Of the worker's start, milliseconds since the epoch. */
  readonly startedMs: number;
  readonly logger: Logger;
  /** Begins a warm shutdown. */
  shutDown(): void;
}

/** Returned by a command that is not answered at all. */
export const NO_REPLY: unique symbol = Symbol('no reply');

/** One remote control command. */
export interface ControlCommand {
  readonly name: string;
  /** Whether it changes the worker (`control`) or asks it (`inspect`). */
  readonly kind: 'control' | 'inspect';
  /** A second name, understood on the wire only. */
  readonly alias?: string;
  /** Not for the command line. */
  readonly hidden?: boolean;
  /** One line for `--list`. */
  readonly help: string;
  /** Its arguments as `--list` shows them. */
  readonly signature?: string;
  /** Arguments of the command line in order; on the wire any name may be given. */
  readonly args?: ArgumentTypes;
  /** Name of the argument that takes all further words. */
  readonly variadic?: string;
  /** Arguments without which it does not run, in the order of its handler in Celery. */
  readonly required?: readonly string[];
  /** Refuses arguments it does not know, as Celery's handler does; others ignore them. */
  readonly strict?: boolean;
  /** @returns the reply: `{ ok: … }`, `{ error: … }`, data, or `NO_REPLY` */
  run(worker: WorkerView, args: ControlArguments): unknown;
}

/** Runs a command as Celery calls its handler. @throws {TypeError} in Python's words: an argument is missing or unknown */
export function runCommand(command: ControlCommand, worker: WorkerView, args: ControlArguments): unknown {
  const missing = (command.required ?? []).filter((name) => !(name in args)).map((name) => `'${name}'`);
  if (missing.length > 0) {
    const many = missing.length > 1 ? 's' : '';
    throw new TypeError(
      `${command.name}() missing ${missing.length} required positional argument${many}: ${missing.join(' and ')}`,
    );
  }
  const unknown = Object.keys(args).find((name) => !(name in (command.args ?? {})));
  if (command.strict === true && unknown !== undefined) {
    throw new TypeError(`${command.name}() got an unexpected keyword argument '${unknown}'`);
  }
  return command.run(worker, args);
}

/** The control commands of a worker, by name and alias. */
export class Panel {
  readonly #commands: ReadonlyMap<string, ControlCommand>;

  constructor(commands: readonly ControlCommand[]) {
    const named = commands.map((command) => [command.name, command] as const);
    const aliases = commands.flatMap((command) =>
      command.alias === undefined ? [] : [[command.alias, command] as const],
    );
    this.#commands = new Map([...aliases, ...named]);
  }

  get(name: string): ControlCommand | undefined {
    return this.#commands.get(name);
  }
}
