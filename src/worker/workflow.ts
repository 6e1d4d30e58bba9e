import type { Celery } from '../app/celery.ts';
import { abandoned } from '../canvas/abandon.ts';
import type { AbandonedMember } from '../canvas/abandon.ts';
import { endMember, firstIds } from '../canvas/chord-end.ts';
import type { ChordVerdict } from '../canvas/chord-end.ts';
import { replacementOf } from '../canvas/replace.ts';
import { readSignature } from '../canvas/signature.ts';
import type { CanvasNode } from '../canvas/signature.ts';
import { sequence } from '../canvas/steps.ts';
import type { ChordMember, ChordPart } from '../backend/chord.ts';
import { BackendError, ChordError, OperationalError } from '../core/errors.ts';
import type { Ignore, Reject } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { newTaskId } from '../core/task-id.ts';
import { FAILURE, SUCCESS } from '../core/states.ts';
import type { Embed, SignatureJson } from '../message/message.ts';
import type { EncodedValue, RemoteError, ResultTuple } from '../message/outcome.ts';
import { decodeTaskBody, NO_EMBED } from '../message/protocol2.ts';
import { DEFAULT_LIMITS, decodeValue } from '../message/registry.ts';
import { errorRepr, fromRemoteError, toRemoteError } from '../message/remote-error.ts';
import type { Errbacks } from './errbacks.ts';
import type { Following, Origin } from './following.ts';
import type { Request } from './request.ts';
import type { Results } from './results.ts';

export interface WorkflowOptions {
  readonly app: Celery;
  readonly following: Following;
  readonly errbacks: Errbacks;
  readonly results: Results;
  /** Content types that may be decoded. */
  readonly accept: ReadonlySet<string>;
  readonly logger: Logger;
}

/** What is asked of a task that has ended. */
export type EndedTask = Pick<Request, 'id' | 'label' | 'headers' | 'envelope'> &
  Partial<Pick<Request, 'delivery'>>;

/** How a task ended that has failed, for those who wait for it. */
export interface Failure {
  readonly error: RemoteError;
  /** FAILURE or REVOKED. */
  readonly status: string;
  /** The state of the task itself is stored, and so are those of the tasks that would have followed. */
  readonly isStored: boolean;
}

/** Goes on with the workflow that a task is part of: its callbacks, its chain, its chord; or ends it with the task's failure. */
export class Workflow {
  readonly #app: Celery;
  readonly #following: Following;
  readonly #errbacks: Errbacks;
  readonly #results: Results;
  readonly #accept: ReadonlySet<string>;
  readonly #logger: Logger;

  constructor({ app, following, errbacks, results, accept, logger }: WorkflowOptions) {
    this.#app = app;
    this.#following = following;
    this.#errbacks = errbacks;
    this.#results = results;
    this.#accept = accept;
    this.#logger = logger;
  }

  /** Before the result is stored. @returns what was sent, as children of the task */
  follow(request: EndedTask, embed: EncodedValue, result: EncodedValue): Promise<readonly ResultTuple[]> {
    return this.#following.success(request, decodeValue(embed) as Embed, result);
  }

  /** After the result is stored: the chord is told. */
  async succeeded(request: EndedTask, embed: EncodedValue, result: EncodedValue): Promise<void> {
    const { chord } = decodeValue(embed) as Embed;
    await this.#end(request, chord, { taskId: request.id, status: SUCCESS, result, error: null });
  }

  /** The task goes on as another signature. */
  async replace(request: EndedTask, embed: EncodedValue | null, replacement: EncodedValue): Promise<void> {
    const { headers } = request;
    const origin = this.#following.originOf(request);
    const replaced = {
      id: request.id,
      rootId: origin.rootId,
      group: headers.group,
      groupIndex: headers.group_index,
      nesting: headers.replaced_task_nesting,
      stamps: headers.stamps,
      embed: embed === null ? NO_EMBED : (decodeValue(embed) as Embed),
    };
    const node = readSignature(decodeValue(replacement));
    await this.#following.start(
      replacementOf(node, replaced, { newId: newTaskId, replyTo: origin.replyTo }),
      origin,
    );
  }

  /** The task has failed: its chord is told, what would have followed fails with it, its error callbacks are called. */
  async failed(request: EndedTask, embed: EncodedValue, failure: Failure): Promise<void> {
    await this.#failed(request, decodeValue(embed) as Embed, failure);
  }

  /** The task has ended without a state: a chord that waits for it would wait for ever. */
  async dropped(request: EndedTask, embed: EncodedValue, raised: Ignore | Reject): Promise<void> {
    const { chord, chain } = decodeValue(embed) as Embed;
    const failure = { error: toRemoteError(raised), status: FAILURE, isStored: false };
    await this.#failed(request, { ...NO_EMBED, chord, chain }, failure);
  }

  /** The same for a task that nobody has run, or whose process is gone: nobody has read its message yet. */
  async unrun(
    request: EndedTask,
    failure: Failure,
    options: { readonly callsErrbacks: boolean },
  ): Promise<void> {
    let embed: Embed;
    try {
      ({ embed } = decodeTaskBody(request.envelope, this.#accept, DEFAULT_LIMITS));
    } catch (error) {
      this.#logger.error(`What follows ${request.label} cannot be read`, error);
      return;
    }
    await this.#failed(request, options.callsErrbacks ? embed : { ...embed, errbacks: null }, failure);
  }

  async #failed(request: EndedTask, embed: Embed, failure: Failure): Promise<void> {
    const { error, status } = failure;
    const origin = this.#following.originOf(request);
    await this.#end(request, embed.chord, { taskId: request.id, status, result: null, error });
    const rest = (embed.chain ?? []).map(readSignature).reverse();
    if (rest.length > 0) await this.#abandon(sequence(rest), failure, origin);
    const errbacks = await this.#errbacks.call(embed.errbacks ?? [], request.envelope, error);
    await this.#following.failure(errbacks, request.id, origin);
  }

  async #end(request: EndedTask, chord: SignatureJson | null, member: ChordMember): Promise<void> {
    const { group, group_index: groupIndex } = request.headers;
    if (chord === null || group === null) return;
    const part = { ...member, groupId: group, groupIndex };
    await this.#count(part, chord, this.#following.originOf(request), request.delivery?.redelivered === true);
  }

  /** @param comesAgain - the message of the member was delivered before */
  async #count(part: ChordPart, chord: SignatureJson, origin: Origin, comesAgain: boolean): Promise<void> {
    const { backend } = this.#app;
    if (!backend.can.chords) {
      this.#logger.error(
        `Task ${part.taskId} is member of a chord, which the result backend ${backend.url} cannot count: its body is not sent`,
      );
      return;
    }
    const verdict = await endMember(backend, part);
    if (verdict === undefined) return;
    const body = readSignature(chord);
    const isSent = comesAgain && verdict.kind === 'values' && (await this.#hasState(firstIds(body)));
    if (!isSent) await this.#finish(body, part.groupId, verdict, origin);
    await backend.endChord(part.groupId);
  }

  /** Whether one of these tasks has run, or runs: whoever sent it died before it could say so. */
  async #hasState(ids: readonly string[]): Promise<boolean> {
    for (const id of ids) if ((await this.#app.backend.fetch(id)) !== undefined) return true;
    return false;
  }

  async #finish(body: CanvasNode, groupId: string, verdict: ChordVerdict, origin: Origin): Promise<void> {
    if (verdict.kind === 'error') {
      await this.#failBody(body, groupId, verdict.error, origin);
      return;
    }
    try {
      await this.#following.start({ node: body, given: { args: [verdict.values] } }, origin);
    } catch (error) {
      if (error instanceof OperationalError || error instanceof BackendError) throw error;
      const failure = new ChordError(`Callback error: ${errorRepr(error)}`, { cause: error });
      await this.#failBody(body, groupId, toRemoteError(failure), origin);
    }
  }

  async #failBody(body: CanvasNode, groupId: string, error: RemoteError, origin: Origin): Promise<void> {
    this.#logger.error(`Chord '${groupId}' raised: ${errorRepr(fromRemoteError(error))}`);
    const { errbacks } = await this.#abandon(body, { error, status: FAILURE, isStored: true }, origin);
    for (const each of errbacks) {
      const { taskId } = each;
      const toSend = await this.#errbacks.callOfUnsent(each, error);
      // In Celery, too, an error callback of a body that never ran belongs to no other task than that.
      await this.#following.failure(toSend, taskId, { ...origin, id: taskId, rootId: taskId });
    }
  }

  async #abandon(node: CanvasNode, failure: Failure, origin: Origin): Promise<ReturnType<typeof abandoned>> {
    const left = abandoned(node);
    const { error, status, isStored } = failure;
    if (isStored) await this.#results.storeAbandoned(left.tasks, error, status);
    for (const member of left.members) await this.#endAbandoned(member, failure, origin);
    return left;
  }

  #endAbandoned(member: AbandonedMember, { error, status }: Failure, origin: Origin): Promise<void> {
    const { taskId, groupId, groupIndex, chord } = member;
    return this.#count({ taskId, groupId, groupIndex, status, result: null, error }, chord, origin, false);
  }
}
