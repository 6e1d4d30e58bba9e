import { ImproperlyConfigured } from '../../core/errors.ts';

/** In which order the queues of one priority step are read, by kombu's names. */
export type QueueOrder = 'round_robin' | 'priority' | 'sorted';

/** What `broker_transport_options` says about Redis, with kombu's names and defaults. Times are milliseconds. */
export interface RedisOptions {
  readonly sep: string;
  readonly prioritySteps: readonly number[];
  readonly queueOrder: QueueOrder;
  readonly keyPrefix: string;
  readonly unackedKey: string;
  readonly unackedIndexKey: string;
  /** Before the name of a fanout exchange, `{db}` filled in; `''` without. */
  readonly fanoutPrefix: string;
  /** The same as kombu before 5.4 has it behind Sentinels, `{db}` left as it is; undefined where nobody listens there. */
  readonly oldFanoutPrefix: string | undefined;
  readonly fanoutPatterns: boolean;
  /** After which the messages of a Python worker, which does not renew its hold, are given to others. */
  readonly visibilityTimeoutMs: number;
  /** After which those of a worker of ours that ended without a word are. */
  readonly leaseMs: number;
  readonly restoreLimit: number;
  readonly deadletterQueue: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly keepAlive: boolean;
  readonly healthCheckMs: number | undefined;
  readonly answerWithinMs: number | undefined;
  readonly clientName: string | undefined;
}

const LONGEST_LEASE_S = 300;

/** @throws {@link ImproperlyConfigured} for a value of the wrong kind; names that are not known are left alone, as kombu does */
export function redisOptions(
  given: Readonly<Record<string, unknown>>,
  db: number,
  place: 'server' | 'sentinel' = 'server',
): RedisOptions {
  const read = new Reader(given);
  const prefix = read.fanoutPrefix();
  const old = place === 'sentinel' && read.flag('sentinel_fanout_compat') && prefix.includes('{db}');
  const visibilityS = read.seconds('visibility_timeout') ?? 3600;
  if (given['ack_emulation'] === false) {
    throw new ImproperlyConfigured(
      'broker_transport_options.ack_emulation cannot be switched off: messages would be lost with their worker. Consume without acknowledgement instead.',
    );
  }
  return {
    sep: read.text('sep') ?? '\x06\x16',
    prioritySteps: read.steps(),
    queueOrder: read.order(),
    keyPrefix: read.text('global_keyprefix') ?? '',
    unackedKey: read.text('unacked_key') ?? 'unacked',
    unackedIndexKey: read.text('unacked_index_key') ?? 'unacked_index',
    fanoutPrefix: prefix.replace('{db}', String(db)),
    oldFanoutPrefix: old ? prefix : undefined,
    fanoutPatterns: given['fanout_patterns'] !== false,
    visibilityTimeoutMs: visibilityS * 1000,
    leaseMs: Math.ceil((read.seconds('lease_timeout') ?? Math.min(visibilityS, LONGEST_LEASE_S)) * 1000),
    restoreLimit: read.seconds('unacked_restore_limit') ?? Infinity,
    deadletterQueue: read.text('deadletter_queue'),
    connectTimeoutMs: milliseconds(read.seconds('socket_connect_timeout')),
    keepAlive: given['socket_keepalive'] !== false,
    healthCheckMs: milliseconds(read.seconds('health_check_interval')),
    answerWithinMs: milliseconds(read.seconds('socket_timeout')),
    clientName: read.text('client_name'),
  };
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

const ORDERS: readonly string[] = ['round_robin', 'priority', 'sorted'];

class Reader {
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(given: Readonly<Record<string, unknown>>) {
    this.#given = given;
  }

  text(name: string): string | undefined {
    const value = this.#given[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    throw wrong(name, 'a text', value);
  }

  /** False when left out. */
  flag(name: string): boolean {
    const value = this.#given[name] ?? false;
    if (typeof value === 'boolean') return value;
    throw wrong(name, 'a boolean', value);
  }

  seconds(name: string): number | undefined {
    const value = this.#given[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && value > 0) return value;
    throw wrong(name, 'a number above 0', value);
  }

  steps(): readonly number[] {
    const value = this.#given['priority_steps'] ?? [0, 3, 6, 9];
    const isSteps = (list: unknown): list is number[] =>
      Array.isArray(list) && list.length > 0 && list.every((step) => Number.isInteger(step) && step >= 0);
    if (isSteps(value)) return [...value].sort((a, b) => a - b);
    throw wrong('priority_steps', 'a list of whole numbers from 0 to 9', value);
  }

  order(): QueueOrder {
    const value = this.#given['queue_order_strategy'] ?? 'round_robin';
    if (ORDERS.includes(value as string)) return value as QueueOrder;
    throw wrong('queue_order_strategy', ORDERS.join(', '), value);
  }

  /** True is the default prefix, false none, and a text another one. */
  fanoutPrefix(): string {
    const value = this.#given['fanout_prefix'] ?? true;
    if (value === false) return '';
    if (value !== true && typeof value !== 'string')
      throw wrong('fanout_prefix', 'a boolean or a text', value);
    return value === true ? '/{db}.' : value;
  }
}

function wrong(name: string, takes: string, value: unknown): ImproperlyConfigured {
  return new ImproperlyConfigured(
    `broker_transport_options.${name} takes ${takes}, not ${JSON.stringify(value)}`,
  );
}
