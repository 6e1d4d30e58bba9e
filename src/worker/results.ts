import type { Logger } from '../core/logger.ts';
import { FAILURE, READY_STATES } from '../core/states.ts';
import type { AbandonedTask } from '../canvas/abandon.ts';
import type { ReplyAddress, ResultBackend } from '../backend/backend.ts';
import type { Envelope, TaskHeaders } from '../message/message.ts';
import type { EncodedValue, RemoteError, ResultTuple } from '../message/outcome.ts';
import type { ExtendedMeta, ResultMeta } from '../message/result-meta.ts';
import type { Request } from './request.ts';

/** What a state brings along. */
export interface StateDetails {
  readonly result?: EncodedValue;
  readonly error?: RemoteError | null;
  readonly traceback?: string | null;
  readonly children?: readonly ResultTuple[];
  readonly call?: { readonly args: EncodedValue; readonly kwargs: EncodedValue } | undefined;
}

export interface ResultsOptions {
  /** The backend of a task that has its own, by URL; null: the app's. */
  readonly backendFor: (url: string | null) => ResultBackend;
  readonly hostname: string;
  /** `result_extended`. */
  readonly extended: boolean;
  readonly logger: Logger;
}

/** Writes the states of tasks to the result backend. */
export class Results {
  readonly #backendFor: (url: string | null) => ResultBackend;
  readonly #hostname: string;
  readonly #extended: boolean;
  readonly #logger: Logger;

  constructor({ backendFor, hostname, extended, logger }: ResultsOptions) {
    this.#backendFor = backendFor;
    this.#hostname = hostname;
    this.#extended = extended;
    this.#logger = logger;
  }

  /** Whether what is stored of the task can be read. */
  areKept(request: Request): boolean {
    return this.#backendFor(request.options.backend).can.results;
  }

  /** @throws {BackendStoreError} */
  async store(request: Request, status: string, details: StateDetails): Promise<void> {
    const { headers, envelope } = request;
    const meta: ResultMeta = {
      taskId: headers.id,
      status,
      result: details.result ?? null,
      error: details.error ?? null,
      traceback: details.traceback ?? null,
      children: details.children ?? [],
      dateDone: READY_STATES.has(status) ? new Date() : null,
      groupId: headers.group,
      parentId: headers.parent_id,
      extended: this.#extended ? this.#extendedMeta(request, details) : null,
    };
    await this.#backendFor(request.options.backend).store(meta, replyAddress(envelope, headers));
  }

  /** FAILURE, or REVOKED, of the tasks that would have followed a failed one. @throws {BackendStoreError} */
  async storeAbandoned(
    tasks: readonly AbandonedTask[],
    error: RemoteError,
    status: string = FAILURE,
  ): Promise<void> {
    await Promise.all(
      tasks.map(({ id, groupId, replyTo }) =>
        this.#backendFor(null).store(
          { ...failureMeta(id, error), status, groupId },
          replyTo === null ? undefined : { replyTo, correlationId: id },
        ),
      ),
    );
  }

  /** FAILURE of a message that never ran; a backend that fails is logged. */
  async storeUnrun(headers: TaskHeaders, envelope: Envelope, error: RemoteError): Promise<void> {
    try {
      await this.#backendFor(null).store(
        { ...failureMeta(headers.id, error), groupId: headers.group, parentId: headers.parent_id },
        replyAddress(envelope, headers),
      );
    } catch (failure) {
      this.#logger.error(`The failure of ${headers.task}[${headers.id}] could not be stored`, failure);
    }
  }

  #extendedMeta(request: Request, { call }: StateDetails): ExtendedMeta {
    const { headers, delivery } = request;
    return {
      name: headers.task,
      args: call?.args ?? null,
      kwargs: call?.kwargs ?? null,
      worker: this.#hostname,
      retries: headers.retries,
      queue: delivery.routingKey === '' ? delivery.queue : delivery.routingKey,
      ...(headers.stamped_headers !== null && {
        stampedHeaders: headers.stamped_headers,
        stamps: headers.stamps,
      }),
    };
  }
}

function failureMeta(taskId: string, error: RemoteError): ResultMeta {
  return {
    taskId,
    status: FAILURE,
    result: null,
    error,
    traceback: error.traceback,
    children: [],
    dateDone: new Date(),
    groupId: null,
    parentId: null,
    extended: null,
  };
}

function replyAddress({ properties }: Envelope, headers: TaskHeaders): ReplyAddress | undefined {
  const { replyTo, correlationId } = properties;
  return replyTo === undefined ? undefined : { replyTo, correlationId: correlationId ?? headers.id };
}
