import type { Running } from './running.ts';
import type { Servers } from './servers.ts';

export type BrokerName = 'rabbitmq' | 'redis';
export type Results = 'off' | 'rpc' | 'redis';

/** What is measured of a contender in one round. */
export interface Metric {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** By how much its ratio may worsen before `--check` complains, in percent. Without it the metric is not checked. */
  readonly margin?: number;
}

/** One situation in which contenders are compared. */
export interface Case {
  /** Names it in tables and in the recorded file. */
  readonly label: string;
  readonly broker: BrokerName;
  readonly results: Results;
  readonly concurrency: number;
  /** Tasks, messages or round trips. */
  readonly tasks: number;
  readonly contenders: readonly string[];
  readonly task?: 'add' | 'cpu' | 'sleep' | 'size';
  /** Bytes of the argument of `size`. */
  readonly payload?: number;
  /** Messages that wait when the worker starts; only `tasks` of them are measured. */
  readonly backlog?: number;
  /** With all that a worker does by default at its start: gossip, mingle, heartbeat, and its log at INFO. */
  readonly full?: boolean;
}

/** By key of the metric; a metric that a contender does not have is absent. */
export type Values = Readonly<Record<string, number>>;

/** What all figures are given. */
export interface Bench {
  readonly servers: Servers;
  /** Folder for logs and counters of this run. */
  readonly folder: string;
  /** What has been started and not yet ended. */
  readonly running: Set<Running>;
  /** Where the workers of celery-ts write their profiles; undefined: they are not profiled. */
  readonly profiles: string | undefined;
  /** Seconds to watch an idle worker. */
  readonly idleSeconds: number;
}

export interface Choices {
  readonly brokers: readonly BrokerName[];
  readonly results: readonly Results[];
  readonly concurrency: readonly number[] | undefined;
  readonly tasks: number | undefined;
  readonly contenders: readonly string[] | undefined;
  readonly quick: boolean;
}

export interface Figure {
  readonly name: string;
  readonly title: string;
  /** The first is the one that ratios are made of. */
  readonly metrics: readonly Metric[];
  cases(choices: Choices): readonly Case[];
  measure(bench: Bench, of: Case, contender: string): Promise<Values>;
}

/** A measurement that makes no sense here, and why. */
export class Skipped extends Error {
  override readonly name = 'Skipped';
}

export interface Row {
  readonly contender: string;
  /** By metric, the value of each round. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  /** Why there are no values, or not all. */
  readonly notes: readonly string[];
}

/** The measured contenders of one case. */
export interface Table {
  readonly figure: string;
  readonly case: string;
  readonly tasks: number;
  readonly rounds: number;
  /** As `2026-11-22`. */
  readonly date: string;
  readonly machine: string;
  readonly rows: readonly Row[];
}
