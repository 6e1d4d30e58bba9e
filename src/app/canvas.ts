import { registerChord } from '../canvas/chord-end.ts';
import type { FreezeContext, ResultNode } from '../canvas/freeze.ts';
import { resultTuple } from '../canvas/freeze.ts';
import { taskWithArguments } from '../canvas/signature.ts';
import type { CanvasNode, TaskNode } from '../canvas/signature.ts';
import { startOf } from '../canvas/start.ts';
import type { Call, CanvasStart } from '../canvas/start.ts';
import { newTaskId } from '../core/task-id.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { Celery } from './celery.ts';
import { runningTask } from './current.ts';
import type { ApplyOptions } from './options.ts';
import type { AnyResult, ResultDetails } from './result-options.ts';
import type { AsyncResult } from './result.ts';
import type { SignatureHost } from './signature.ts';
import { toApplyOptions, toSignatureOptions } from './signature-options.ts';

/** So many calls are on their way to the broker at a time. */
const AT_A_TIME = 500;

/** Sends canvases for an app: the calls that run first, each with what follows it, and the chords that wait for them. */
export class Canvas implements SignatureHost {
  readonly #app: Celery;
  readonly #results: (id: string, details: ResultDetails) => AsyncResult;

  constructor(app: Celery, results: (id: string, details: ResultDetails) => AsyncResult) {
    this.#app = app;
    this.#results = results;
  }

  get chordHeader(): boolean {
    return this.#app.settings.task_allow_error_cb_on_chord_header;
  }

  get ids(): FreezeContext {
    return { newId: newTaskId, replyTo: this.#app.backend.replyTo ?? this.#app.oid };
  }

  async start(node: CanvasNode, args: readonly unknown[], options: ApplyOptions): Promise<unknown> {
    const app = this.#app;
    await app.ready();
    const { kwargs = {}, signal, addToParent = true } = options;
    if (node.kind === 'task') return this.#call(node, args, options);
    if (app.settings.task_always_eager) return this.runHere(node, args, options);
    const given = { args, kwargs, options: toSignatureOptions(options) };
    const start = startOf(node, given, { ...this.ids, chordHeader: this.chordHeader });
    for (const id of idsOf(start.result)) await app.backend.expect(id);
    await sendCanvas(app, start, (call) =>
      app.call(call.task, call.args, {
        ...toApplyOptions(call.options),
        kwargs: call.kwargs,
        addToParent: false,
        ...(signal && { signal }),
      }),
    );
    if (addToParent && start.child !== null) runningTask.getStore()?.addChild(start.child);
    return this.resultOf(start.result);
  }

  async runHere(node: CanvasNode, args: readonly unknown[], options: ApplyOptions): Promise<unknown> {
    const { runCanvas } = await import('./eager-canvas.ts');
    await this.#app.ready();
    const { kwargs = {} } = options;
    return runCanvas(this.#app, node, { args, kwargs, options: toSignatureOptions(options) });
  }

  endedResult(meta: ResultMeta, parent: AnyResult | null): AnyResult {
    return this.#results(meta.taskId, { meta, parent });
  }

  resultOf(result: ResultNode): unknown {
    return this.#app.resultFromTuple(resultTuple(result));
  }

  #call(node: TaskNode, args: readonly unknown[], options: ApplyOptions): Promise<AsyncResult> {
    const called = taskWithArguments(node, args, options.kwargs ?? {});
    const own = toApplyOptions(called.options);
    // A group that it is in for good is kept.
    const { groupId = options.groupId } = own;
    return this.#app.call(called.task, called.args, {
      ...own,
      ...options,
      ...(groupId !== undefined && { groupId }),
      kwargs: called.kwargs,
    });
  }
}

/**
 * Makes the chords known, then sends the calls.
 * @throws {ImproperlyConfigured} the result backend has no chords
 */
export async function sendCanvas(
  app: Celery,
  { chords, calls }: CanvasStart,
  send: (call: Call) => Promise<unknown>,
): Promise<void> {
  for (const chord of chords) await registerChord(app.backend, chord);
  for (let sent = 0; sent < calls.length; sent += AT_A_TIME) {
    await Promise.all(calls.slice(sent, sent + AT_A_TIME).map(send));
  }
}

/** Of all tasks whose results are asked for. */
function idsOf({ id, parent, members }: ResultNode): readonly string[] {
  const mine = members === null ? [id] : members.flatMap(idsOf);
  return parent === null ? mine : [...idsOf(parent), ...mine];
}
