/** What is sent when a task has ended: its callbacks, the next step of its chain, its error callbacks. */
import { newTaskId } from '../core/task-id.ts';
import type { Embed, SignatureJson } from '../message/message.ts';

/** One call that follows a finished task, not yet sent. */
export interface FollowUp {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** `apply_async` options in Celery's names. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What is left of the chain after this step, reversed like `Embed.chain`; null when it is no step of a chain. */
  readonly chain: readonly SignatureJson[] | null;
}

/** The task that the calls follow. */
export interface Origin {
  readonly id: string;
  readonly rootId: string;
}

/** Sends calls; keeps canvas below the app. */
export interface Sender {
  /** @returns the id of the task that was sent */
  send(call: FollowUp, origin: Origin): Promise<string>;
}

/** Follow-ups, and the parts of the canvas that nobody can send yet. */
export interface FollowUps {
  readonly calls: readonly FollowUp[];
  /** As `task` of a signature names them: `celery.group`; `chord` for membership of one. */
  readonly unsupported: readonly string[];
}

const NOTHING: FollowUps = { calls: [], unsupported: [] };

/** After success: every callback and the next step of the chain get the result as first argument, unless immutable. */
export function afterSuccess(embed: Embed, result: unknown): FollowUps {
  const { callbacks, chain, chord } = embed;
  const next = chain?.at(-1);
  if (callbacks === null && next === undefined && chord === null) return NOTHING;
  const signatures = [...(callbacks ?? [])];
  const { calls, unsupported } = split(signatures, [result]);
  const step = next === undefined ? NOTHING : split([next], [result]);
  const rest = chain?.slice(0, -1) ?? null;
  return {
    calls: [...calls, ...step.calls.map((call) => ({ ...call, chain: rest }))],
    unsupported: [...unsupported, ...step.unsupported, ...(chord === null ? [] : ['chord'])],
  };
}

/** A step of a chain that will never run. */
export interface AbandonedStep {
  readonly id: string;
  readonly groupId: string | null;
  /** Queue of the process that waits for its result. */
  readonly replyTo: string | null;
}

/**
 * The rest of the chain of a failed task: who waits for one of these steps has to learn of the failure. A step that is itself
 * a canvas has no id of its own and is left out.
 */
export function abandonedSteps({ chain }: Embed): readonly AbandonedStep[] {
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return (chain ?? []).flatMap(({ options }) => {
    const id = text(options['task_id']);
    return id === null
      ? []
      : [{ id, groupId: text(options['group_id']), replyTo: text(options['reply_to']) }];
  });
}

/**
 * After failure: every error callback gets the id of the failed task. The rest of the chain is not sent.
 *
 * The error callbacks are sent as one group, as Celery does.
 */
export function afterFailure(embed: Embed, taskId: string): FollowUps {
  const { errbacks, chord } = embed;
  if (errbacks === null && chord === null) return NOTHING;
  const { calls: single, unsupported } = split(errbacks ?? [], [taskId]);
  const group = newTaskId();
  const calls = single.map((call) => ({ ...call, options: { ...call.options, group_id: group } }));
  return { calls, unsupported: [...unsupported, ...(chord === null ? [] : ['chord'])] };
}

function split(signatures: readonly SignatureJson[], before: readonly unknown[]): FollowUps {
  const calls: FollowUp[] = [];
  const unsupported: string[] = [];
  for (const signature of signatures) {
    if ((signature.subtask_type ?? null) !== null) unsupported.push(signature.task);
    else calls.push(toCall(signature, before));
  }
  return { calls, unsupported };
}

// Other senders may leave out what is empty.
function toCall(
  signature: Pick<SignatureJson, 'task'> & Partial<SignatureJson>,
  before: readonly unknown[],
): FollowUp {
  const { task, args = [], kwargs = {}, options = {}, immutable = false } = signature;
  return { task, args: immutable ? args : [...before, ...args], kwargs, options, chain: null };
}
