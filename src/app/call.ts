import type { ResultBackend } from '../backend/backend.ts';
import type { RetryPolicy } from '../core/retry.ts';
import { newTaskId } from '../core/task-id.ts';
import { etaIso, expiry, localTimeZone } from '../core/time.ts';
import type { TimeContext } from '../core/time.ts';
import { signatureJson } from '../canvas/signature.ts';
import type { SignatureLike } from '../canvas/signature.ts';
import type { Embed, Envelope, SignatureJson } from '../message/message.ts';
import { buildTaskMessage } from '../message/protocol2.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import type { TaskAttributes } from './annotations.ts';
import type { RunningTask } from './current.ts';
import { runningTask } from './current.ts';
import type { ApplyOptions, PublishRetryPolicy } from './options.ts';
import type { ProducerOptions } from './producer.ts';
import type { PublishTarget, RoutedCall, RoutedOptions, Router } from './routes.ts';
import type { AnyTask } from './task.ts';

/** One call of a task, before anything is decided. */
export interface CallRequest {
  readonly name: string;
  /** Undefined when this program does not define the task. */
  readonly task: AnyTask | undefined;
  readonly attributes: TaskAttributes | undefined;
  readonly args: readonly unknown[];
  readonly options: ApplyOptions;
}

/** What it takes from the app. */
export interface CallSurroundings {
  readonly settings: ResolvedSettings;
  readonly router: Router;
  readonly backend: ResultBackend;
  /** `gen<pid>@<host>`. */
  readonly origin: string;
  /** Where answers go when the backend has no queue of its own. */
  readonly oid: string;
}

/** A call decided in full: the message and where it goes. */
export interface PreparedCall {
  readonly id: string;
  readonly message: Envelope;
  readonly target: PublishTarget;
  readonly publish: ProducerOptions;
  readonly ignoreResult: boolean;
  /** The task to remember the call among its children. */
  readonly parent: RunningTask | undefined;
}

/** Decides everything about a call: route, ids, times, and so its message. */
export function prepareCall(request: CallRequest, surroundings: CallSurroundings): PreparedCall {
  const { settings, router } = surroundings;
  const { options: given, name, task, args } = request;
  const kwargs = given.kwargs ?? {};
  const id = given.taskId ?? newTaskId();
  const running = runningTask.getStore();
  const lineage = lineageOf(id, given, running, settings);
  const merged = { ...routableOf(request.attributes), ...withoutAbsent(given), ...lineage.priority };
  const routed = router.route({ name, args, kwargs, options: merged, task });
  const ignoreResult = routed.options.ignoreResult ?? request.attributes?.resolved.ignoreResult ?? false;
  return {
    id,
    message: message({ request, surroundings, routed, id, kwargs, lineage, ignoreResult }),
    target: routed.target,
    publish: { retry: publishRetry(settings, routed.options), signal: given.signal },
    ignoreResult,
    parent: (given.addToParent ?? true) ? running : undefined,
  };
}

interface Lineage {
  readonly rootId: string;
  readonly parentId: string | null;
  readonly priority: { readonly priority?: number };
}

/** A call made inside a task belongs to its workflow. */
function lineageOf(
  id: string,
  given: ApplyOptions,
  running: RunningTask | undefined,
  settings: ResolvedSettings,
): Lineage {
  const inherited = settings.task_inherit_parent_priority ? running?.priority : null;
  return {
    rootId: given.rootId ?? running?.rootId ?? id,
    parentId: given.parentId ?? running?.id ?? null,
    priority: given.priority === undefined && typeof inherited === 'number' ? { priority: inherited } : {},
  };
}

const routables = new WeakMap<TaskAttributes, RoutedOptions>();

/** A task's own attributes that are options of its calls too; the same for all of them. */
function routableOf(attributes: TaskAttributes | undefined): RoutedOptions {
  if (attributes === undefined) return {};
  let options = routables.get(attributes);
  if (options === undefined) {
    const { queue, exchange, routingKey, priority, expires, serializer, compression } = attributes.own;
    const { timeLimit, softTimeLimit, shadow } = attributes.own;
    options = withoutAbsent({
      ...{ queue, exchange, routingKey, priority, expires, serializer, compression },
      ...{ timeLimit, softTimeLimit, shadow },
    });
    routables.set(attributes, options);
  }
  return options;
}

function withoutAbsent(
  options: RoutedOptions | { readonly [Name in keyof RoutedOptions]: unknown },
): RoutedOptions {
  const present: Record<string, unknown> = {};
  for (const name of Object.keys(options) as (keyof RoutedOptions)[]) {
    const value = options[name];
    if (value !== undefined && value !== null) present[name] = value;
  }
  return present;
}

interface Parts {
  readonly request: CallRequest;
  readonly surroundings: CallSurroundings;
  readonly routed: RoutedCall;
  readonly id: string;
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly lineage: Lineage;
  readonly ignoreResult: boolean;
}

function message({ request, surroundings, routed, id, kwargs, lineage, ignoreResult }: Parts): Envelope {
  const { settings, backend } = surroundings;
  const { options } = routed;
  const time: TimeContext = { nowMs: Date.now(), timeZone: timeZoneOf(settings) };
  const expires = expiry(options.expires, time);
  const embed = embedOf(options);
  return buildTaskMessage({
    task: request.name,
    id,
    args: request.args,
    kwargs,
    embed,
    serializer: options.serializer ?? settings.task_serializer,
    compression: options.compression ?? settings.task_compression,
    headers: options.headers,
    shadow: options.shadow,
    etaIso: etaIso(options, time),
    expiresIso: expires.iso,
    // A worker has to see it expire, where a chord or the rest of a chain waits for it: the broker would drop it in silence.
    expirationMs: embed.chord === null && embed.chain === null ? expires.expirationMs : undefined,
    group: options.groupId,
    groupIndex: options.groupIndex,
    retries: options.retries ?? 0,
    timeLimit: options.timeLimit,
    softTimeLimit: options.softTimeLimit,
    rootId: lineage.rootId,
    parentId: lineage.parentId,
    argsrepr: options.argsrepr ?? undefined,
    kwargsrepr: options.kwargsrepr ?? undefined,
    origin: surroundings.origin,
    ignoreResult,
    replacedTaskNesting: options.replacedTaskNesting ?? 0,
    ...(options.stamps && { stamps: options.stamps, stampedHeaders: Object.keys(options.stamps) }),
    replyTo: options.replyTo ?? backend.replyTo ?? surroundings.oid,
    deliveryMode: options.deliveryMode ?? routed.deliveryMode ?? deliveryModeOf(settings),
    priority: options.priority ?? priorityOf(request, routed, settings),
  });
}

/** Celery leaves the priority out when the queue of a known task was named, and else sends 0. */
function priorityOf(
  { task }: CallRequest,
  { direct }: RoutedCall,
  settings: ResolvedSettings,
): number | undefined {
  return settings.task_default_priority ?? (direct && task !== undefined ? undefined : 0);
}

function embedOf({ link, linkError, chain, chord }: RoutedOptions): Embed {
  return { callbacks: listOf(link), errbacks: listOf(linkError), chain: chain ?? null, chord: chord ?? null };
}

function listOf(
  signatures: SignatureLike | readonly SignatureLike[] | null | undefined,
): readonly SignatureJson[] | null {
  if (signatures === undefined || signatures === null) return null;
  const list = Array.isArray(signatures)
    ? (signatures as readonly SignatureLike[])
    : [signatures as SignatureLike];
  return list.map(signatureJson);
}

/** The zone in which times are written: `timezone`, or UTC, or the machine's with `enable_utc` off. */
function timeZoneOf(settings: ResolvedSettings): string {
  return settings.timezone ?? (settings.enable_utc ? 'UTC' : localTimeZone());
}

function deliveryModeOf({ task_default_delivery_mode: mode }: ResolvedSettings): 1 | 2 {
  return mode === 1 || mode === 'transient' ? 1 : 2;
}

/** When and how often a message is sent again after a loss of the broker: `task_publish_retry` and its policy. */
export function publishRetry(settings: ResolvedSettings, options: RoutedOptions = {}): RetryPolicy | false {
  if (!(options.retry ?? settings.task_publish_retry)) return false;
  const own: PublishRetryPolicy = options.retryPolicy ?? {};
  const base = settings.task_publish_retry_policy;
  return {
    maxRetries: own.maxRetries === undefined ? base.max_retries : own.maxRetries,
    intervalStartMs: (own.intervalStart ?? base.interval_start) * 1000,
    intervalStepMs: (own.intervalStep ?? base.interval_step) * 1000,
    intervalMaxMs: (own.intervalMax ?? base.interval_max) * 1000,
  };
}
