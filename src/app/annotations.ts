import { ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import { isRecord, toCamelCase, toSnakeCase } from './option-names.ts';
import type { ResolvedTaskOptions, AnyTaskOptions } from './options.ts';
import { checkTaskValues } from './task-values.ts';
import type { TaskDefinition } from './task.ts';

/** Options of a task before and after the settings fill them up. */
export interface TaskAttributes {
  /** What the task and `task_annotations` say. */
  readonly own: AnyTaskOptions;
  readonly resolved: ResolvedTaskOptions;
}

const NAMES: ReadonlySet<string> = new Set<keyof ResolvedTaskOptions>([
  ...(['maxRetries', 'defaultRetryDelay', 'autoretryFor', 'dontAutoretryFor', 'retryKwargs'] as const),
  ...(['retryBackoff', 'retryBackoffMax', 'retryJitter', 'rateLimit', 'timeLimit', 'softTimeLimit'] as const),
  ...([
    'ignoreResult',
    'storeErrorsEvenIfIgnored',
    'serializer',
    'compression',
    'backend',
    'acksLate',
  ] as const),
  ...([
    'acksOnFailureOrTimeout',
    'rejectOnWorkerLost',
    'trackStarted',
    'sendEvents',
    'throws',
    'expires',
  ] as const),
  ...(['priority', 'queue', 'exchange', 'routingKey', 'typing', 'shadow', 'bind'] as const),
]);

/** Refuses options that no task has, for callers that no compiler has checked. */
export function checkTaskOptions(task: string, options: AnyTaskOptions): void {
  for (const name of Object.keys(options)) {
    if (NAMES.has(name)) continue;
    throw new ImproperlyConfigured(
      `Task '${task}' has an unknown option '${name}'.${didYouMean(toCamelCase(name), NAMES)}`,
    );
  }
}

/** The options of a task: its own, overridden by `task_annotations`, filled up from the settings. */
export function resolveTaskOptions(definition: TaskDefinition, settings: ResolvedSettings): TaskAttributes {
  const annotated = annotationsFor(definition, settings.task_annotations);
  const own: AnyTaskOptions = { ...withoutUndefined(definition.options), ...annotated };
  checkTaskValues(definition.name, own);
  return { own, resolved: fillUp(own, settings) };
}

function fillUp(own: AnyTaskOptions, settings: ResolvedSettings): ResolvedTaskOptions {
  return {
    bind: own.bind ?? false,
    maxRetries: own.maxRetries === undefined ? 3 : own.maxRetries,
    defaultRetryDelay: own.defaultRetryDelay ?? 180,
    autoretryFor: own.autoretryFor ?? [],
    dontAutoretryFor: own.dontAutoretryFor ?? [],
    retryKwargs: own.retryKwargs ?? {},
    retryBackoff: own.retryBackoff ?? false,
    retryBackoffMax: own.retryBackoffMax ?? 600,
    retryJitter: own.retryJitter ?? true,
    rateLimit: own.rateLimit === undefined ? settings.task_default_rate_limit : own.rateLimit,
    timeLimit: own.timeLimit ?? settings.task_time_limit,
    softTimeLimit: own.softTimeLimit ?? settings.task_soft_time_limit,
    ignoreResult: own.ignoreResult ?? settings.task_ignore_result,
    storeErrorsEvenIfIgnored: own.storeErrorsEvenIfIgnored ?? settings.task_store_errors_even_if_ignored,
    serializer: own.serializer ?? settings.task_serializer,
    compression: own.compression ?? settings.task_compression,
    backend: own.backend ?? null,
    acksLate: own.acksLate ?? settings.task_acks_late,
    acksOnFailureOrTimeout: own.acksOnFailureOrTimeout ?? settings.task_acks_on_failure_or_timeout,
    rejectOnWorkerLost: own.rejectOnWorkerLost ?? settings.task_reject_on_worker_lost ?? false,
    trackStarted: own.trackStarted ?? settings.task_track_started,
    sendEvents: own.sendEvents ?? true,
    throws: own.throws ?? [],
    expires: own.expires ?? null,
    priority: own.priority ?? settings.task_default_priority,
    queue: own.queue ?? null,
    exchange: own.exchange ?? null,
    routingKey: own.routingKey ?? null,
    typing: own.typing ?? true,
    shadow: own.shadow ?? null,
  };
}

/** What `task_annotations` says of a task: first for all tasks, then for this one. */
function annotationsFor(definition: TaskDefinition, annotations: unknown): AnyTaskOptions {
  if (annotations === null || annotations === undefined) return {};
  const sources: readonly unknown[] = Array.isArray(annotations) ? annotations : [annotations];
  const merged: Record<string, unknown> = {};
  for (const source of sources) {
    for (const attributes of answers(source, definition))
      Object.assign(merged, readAttributes(definition.name, attributes));
  }
  return merged;
}

/** The two answers of one source: for any task, and for this one. */
function answers(source: unknown, definition: TaskDefinition): readonly unknown[] {
  const task = { name: definition.name, options: definition.options };
  if (typeof source === 'function') return [(source as (task: object) => unknown)(task)];
  if (!isRecord(source)) {
    throw new ImproperlyConfigured(
      `task_annotations: expected an object of task names or an object with annotate(), got ${String(source)}`,
    );
  }
  const { annotate, annotateAny } = source;
  if (typeof annotate === 'function' || typeof annotateAny === 'function') {
    const any: unknown = typeof annotateAny === 'function' ? annotateAny.call(source) : null;
    const specific: unknown = typeof annotate === 'function' ? annotate.call(source, task) : null;
    return [any, specific];
  }
  return [source['*'], source[definition.name]];
}

function readAttributes(task: string, attributes: unknown): Record<string, unknown> {
  if (attributes === null || attributes === undefined) return {};
  if (!isRecord(attributes)) {
    throw new ImproperlyConfigured(
      `task_annotations: '${task}' takes an object such as { rate_limit: '10/m' }`,
    );
  }
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(withoutUndefined(attributes))) {
    const name = toCamelCase(key);
    if (!NAMES.has(name) || name === 'bind') {
      throw new ImproperlyConfigured(
        `task_annotations: '${task}' has an unknown attribute '${key}'.` +
          didYouMean(key, [...NAMES].map(toSnakeCase)),
      );
    }
    options[name] = value;
  }
  return options;
}

function withoutUndefined<Values extends object>(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Values;
}
