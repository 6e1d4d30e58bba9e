import { hostname } from 'node:os';
import { afterFailure, afterSuccess } from '../canvas/following.ts';
import { replacementOf } from '../canvas/replace.ts';
import { readSignature } from '../canvas/signature.ts';
import { FAILURE, IGNORED, REJECTED, SUCCESS } from '../core/states.ts';
import { fromRemoteError } from '../message/remote-error.ts';
import { decodeValue, encodePart } from '../message/registry.ts';
import { NO_EMBED, parseTaskHeaders } from '../message/protocol2.ts';
import type { Embed } from '../message/message.ts';
import type { EncodedValue, Outcome } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { PreparedCall } from './call.ts';
import type { Celery } from './celery.ts';
import { eagerLogger } from './eager-logger.ts';
import { runFollowUp, runFollowUps } from './eager-canvas.ts';
import { createTracer } from './trace.ts';
import type { TraceJob } from './run.ts';
import type { TraceHooks } from './trace.ts';

/**
 * Runs a call here and now (`task_always_eager`), through its message, so that what cannot cross a broker fails here too.
 * Retries follow at once.
 * @throws the task's error with `task_eager_propagates`
 */
export async function runEagerly(app: Celery, call: PreparedCall): Promise<ResultMeta> {
  const { settings } = app;
  const trace = createTracer(app, { logger: eagerLogger(settings) });
  const hooks: TraceHooks = {
    signal: new AbortController().signal,
    onState: (update) => storeState(app, call, update.state, update.meta),
  };
  let job = jobOf(call);
  let outcome = await trace(job, hooks);
  while (outcome.kind === 'retry') {
    job = nextJob(job, outcome);
    outcome = await trace(job, hooks);
  }
  if (outcome.kind === 'ignore' && outcome.replacement !== undefined) {
    return runReplacement(app, job, outcome, outcome.replacement);
  }
  const meta = metaOf(job, outcome);
  if (isStored(app, call)) await app.backend.store(meta);
  if (outcome.kind === 'failure' && settings.task_eager_propagates) throw fromRemoteError(outcome.error);
  await follow(app, meta, outcome);
  return meta;
}

function isStored(app: Celery, call: PreparedCall): boolean {
  return app.settings.task_store_eager_result && !call.ignoreResult;
}

async function storeState(
  app: Celery,
  call: PreparedCall,
  state: string,
  result: EncodedValue,
): Promise<void> {
  if (isStored(app, call)) await app.backend.store({ ...BLANK, taskId: call.id, status: state, result });
}

function jobOf({ message, target }: PreparedCall): TraceJob {
  const { headers, userHeaders } = parseTaskHeaders(message.headers);
  const { compression } = message.headers;
  return {
    id: headers.id,
    task: headers.task,
    headers,
    userHeaders,
    body: message.body,
    contentType: message.contentType,
    contentEncoding: message.contentEncoding,
    ...(typeof compression === 'string' && { compression }),
    ignoreResult: headers.ignore_result,
    deliveryInfo: {
      exchange: target.exchange,
      routing_key: target.routingKey,
      priority: message.properties.priority ?? null,
      redelivered: false,
    },
    replyTo: null,
    correlationId: message.properties.correlationId ?? null,
    hostname: hostname(),
    isEager: true,
  };
}

function nextJob(job: TraceJob, { request }: Extract<Outcome, { kind: 'retry' }>): TraceJob {
  const headers = { ...job.headers, retries: job.headers.retries + 1 };
  if (request.body === null) return { ...job, headers };
  const next: { -readonly [Member in keyof TraceJob]: TraceJob[Member] } = { ...job, headers };
  // The new body is encoded, not compressed.
  delete next.compression;
  next.body = request.body.value.bytes;
  return next;
}

const BLANK = {
  result: null,
  error: null,
  traceback: null,
  children: null,
  dateDone: null,
  groupId: null,
  parentId: null,
  extended: null,
} satisfies Partial<ResultMeta>;

function metaOf(job: TraceJob, outcome: Outcome): ResultMeta {
  const common = {
    ...BLANK,
    taskId: job.id,
    children: 'children' in outcome ? outcome.children : null,
    dateDone: new Date(),
    groupId: job.headers.group,
    parentId: job.headers.parent_id,
  };
  switch (outcome.kind) {
    case 'success':
      return { ...common, status: SUCCESS, result: outcome.result };
    case 'failure':
      return { ...common, status: FAILURE, error: outcome.error, traceback: outcome.error.traceback };
    case 'reject':
      return { ...common, status: REJECTED };
    default:
      // Only a pool ends a run in another way.
      return { ...common, status: IGNORED };
  }
}

async function runReplacement(
  app: Celery,
  { headers }: TraceJob,
  { embed }: Extract<Outcome, { kind: 'ignore' }>,
  replacement: EncodedValue,
): Promise<ResultMeta> {
  const replaced = {
    id: headers.id,
    rootId: headers.root_id ?? headers.id,
    group: headers.group,
    groupIndex: headers.group_index,
    nesting: headers.replaced_task_nesting,
    stamps: headers.stamps,
    embed: embed === null ? NO_EMBED : { ...(decodeValue(embed) as Embed), chain: null, chord: null },
  };
  const followUp = replacementOf(readSignature(decodeValue(replacement)), replaced, app.signatures.ids);
  const { value, failure } = await runFollowUp(app, followUp);
  if (failure !== undefined) return { ...failure, taskId: headers.id };
  const result = encodePart(value, app.settings.result_serializer);
  return { ...BLANK, taskId: headers.id, status: SUCCESS, result, dateDone: new Date() };
}

/** Runs what was linked to the task, and the rest of its chain, as workers would. */
async function follow(app: Celery, meta: ResultMeta, outcome: Outcome): Promise<void> {
  if ((outcome.kind !== 'success' && outcome.kind !== 'failure') || outcome.embed === null) return;
  const embed = decodeValue(outcome.embed) as Embed;
  const followUps =
    outcome.kind === 'success'
      ? afterSuccess(embed, decodeValue(outcome.result))
      : afterFailure(embed.errbacks ?? [], meta.taskId);
  await runFollowUps(app, followUps, meta);
}
