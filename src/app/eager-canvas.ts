import { hostname } from 'node:os';
import { freeze, text } from '../canvas/freeze.ts';
import { afterFailure } from '../canvas/following.ts';
import type { FollowUp } from '../canvas/following.ts';
import { abandoned } from '../canvas/abandon.ts';
import type { CanvasNode, ChordNode, GroupNode, SignatureOptions, TaskNode } from '../canvas/signature.ts';
import { withArguments } from '../canvas/signature.ts';
import { called, callOptions } from '../canvas/start.ts';
import type { Given } from '../canvas/start.ts';
import { stepsOf, without } from '../canvas/steps.ts';
import { ChordError } from '../core/errors.ts';
import { FAILURE, SUCCESS } from '../core/states.ts';
import { decodeValue } from '../message/registry.ts';
import { errorRepr, fromRemoteError, toRemoteError } from '../message/remote-error.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { Celery } from './celery.ts';
import { eagerLogger } from './eager-logger.ts';
import { callErrbacks, failedTask, unsentRequest } from './errbacks.ts';
import type { AnyResult } from './result-options.ts';
import { toApplyOptions } from './signature-options.ts';

/** How a part of a canvas has ended. */
export interface Ended {
  readonly result: AnyResult;
  /** Of a group the list of its members' values. */
  readonly value: unknown;
  /** Of the first task in it that has failed; undefined when none did. */
  readonly failure: ResultMeta | undefined;
}

/**
 * Runs a canvas here and now (`task_always_eager`, `apply`): one task after the other, in the order in which workers would begin
 * them.
 * @throws the error of a task, with `task_eager_propagates`
 */
export async function runCanvas(app: Celery, node: CanvasNode, given: Given): Promise<AnyResult> {
  return (await runFollowUp(app, { node, given })).result;
}

/** The same, telling how it ended. */
export function runFollowUp(app: Celery, { node, given }: FollowUp): Promise<Ended> {
  const { ids, chordHeader } = app.signatures;
  const start = called(node, given, { chordHeader });
  const frozen = freeze(start.node, start.placement, ids);
  return new EagerCanvas(app).run(frozen.node, callOptions(node, given.options ?? {}), null);
}

/** Runs what follows a task that has run here. */
export async function runFollowUps(
  app: Celery,
  followUps: readonly FollowUp[],
  parent: ResultMeta,
): Promise<void> {
  for (const { node, given } of followUps) {
    await runCanvas(app, node, { ...given, options: { parent_id: parent.taskId, ...given.options } });
  }
}

class EagerCanvas {
  readonly #app: Celery;

  constructor(app: Celery) {
    this.#app = app;
  }

  run(node: CanvasNode, options: SignatureOptions, parent: AnyResult | null): Promise<Ended> {
    switch (node.kind) {
      case 'task':
        return this.#runTask(node, options, parent);
      case 'chain':
        return this.#runSteps(stepsOf(node), options, parent);
      case 'group':
        return this.#runGroup(node, options, parent);
      case 'chord':
        return this.#runChord(node, options, parent);
    }
  }

  async #runTask(node: TaskNode, options: SignatureOptions, parent: AnyResult | null): Promise<Ended> {
    // The chord is counted by whoever runs it.
    const own = without({ ...node.options, ...options }, ['chord']);
    const meta = await this.#app.runHere(node.task, node.args, {
      ...toApplyOptions(own),
      kwargs: node.kwargs,
    });
    return this.#ended(meta, parent);
  }

  async #runSteps(
    steps: readonly CanvasNode[],
    options: SignatureOptions,
    parent: AnyResult | null,
  ): Promise<Ended> {
    const [first, ...rest] = steps;
    if (first === undefined) throw new TypeError('A chain without steps cannot be run.');
    let last = await this.run(first, options, parent);
    for (const step of rest) {
      last =
        last.failure === undefined
          ? await this.run(withArguments(step, [last.value]), {}, last.result)
          : this.#unrun(step, last.failure, last.result);
    }
    return last;
  }

  async #runGroup(node: GroupNode, options: SignatureOptions, parent: AnyResult | null): Promise<Ended> {
    const id = text(node.options['task_id']) ?? '';
    const members: Ended[] = [];
    for (const [index, task] of node.tasks.entries()) {
      const { node: placed } = freeze(task, { groupId: id, groupIndex: index }, this.#app.signatures.ids);
      members.push(await this.run(placed, options, null));
    }
    return {
      result: this.#app.GroupResult(
        id,
        members.map(({ result }) => result),
        parent,
      ),
      value: members.map(({ value }) => value),
      failure: members.find(({ failure }) => failure !== undefined)?.failure,
    };
  }

  async #runChord(node: ChordNode, options: SignatureOptions, parent: AnyResult | null): Promise<Ended> {
    const header = await this.#runGroup(node.header, options, parent);
    if (header.failure === undefined) {
      return this.run(withArguments(node.body, [header.value]), options, header.result);
    }
    const { taskId, error } = header.failure;
    const cause = error === null ? undefined : fromRemoteError(error);
    const chordError = new ChordError(`Dependency ${taskId} raised ${errorRepr(cause)}`, { cause });
    const failed = this.#unrun(
      node.body,
      { ...header.failure, error: toRemoteError(chordError) },
      header.result,
    );
    await this.#failed(node.body, header.failure, chordError);
    if (this.#app.settings.task_eager_propagates) throw chordError;
    return failed;
  }

  /** The body of a chord will never run: its error callbacks do. */
  async #failed(body: CanvasNode, member: ResultMeta, error: ChordError): Promise<void> {
    for (const each of abandoned(body).errbacks) {
      const request = { ...unsentRequest(each, hostname()), isEager: true };
      const failed = failedTask(request, toRemoteError(error), error);
      const log = eagerLogger(this.#app.settings);
      const toRun = await callErrbacks(this.#app, each.errbacks, failed, (message, thrown) => {
        log.error(message, thrown);
      });
      await runFollowUps(this.#app, afterFailure(toRun, each.taskId), { ...member, taskId: each.taskId });
    }
  }

  /** What never runs ends like the task that it would have followed. */
  #unrun(node: CanvasNode, failure: ResultMeta, parent: AnyResult | null): Ended {
    switch (node.kind) {
      case 'task': {
        const taskId = text(node.options['task_id']) ?? '';
        return this.#ended({ ...failure, taskId, status: FAILURE, children: null }, parent);
      }
      case 'chain': {
        const ends = stepsOf(node).reduce<Ended | undefined>(
          (before, step) => this.#unrun(step, failure, before?.result ?? parent),
          undefined,
        );
        return ends ?? { result: this.#app.GroupResult(''), value: null, failure };
      }
      case 'group': {
        const members = node.tasks.map((task) => this.#unrun(task, failure, null).result);
        const id = text(node.options['task_id']) ?? '';
        return { result: this.#app.GroupResult(id, members, parent), value: null, failure };
      }
      case 'chord': {
        const header = this.#unrun(node.header, failure, parent);
        return this.#unrun(node.body, failure, header.result);
      }
    }
  }

  #ended(meta: ResultMeta, parent: AnyResult | null): Ended {
    const value = meta.result === null ? null : decodeValue(meta.result);
    return {
      result: this.#app.signatures.endedResult(meta, parent),
      value,
      failure: meta.status === SUCCESS ? undefined : meta,
    };
  }
}
