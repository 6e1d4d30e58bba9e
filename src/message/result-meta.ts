import type { EncodedValue, RemoteError, ResultTuple } from './outcome.ts';

/** What a result backend stores of one task, before it takes the form of that backend. */
export interface ResultMeta {
  readonly taskId: string;
  readonly status: string;
  /** The value of SUCCESS and of custom states. */
  readonly result: EncodedValue | null;
  /** The error of FAILURE, RETRY and REVOKED. */
  readonly error: RemoteError | null;
  readonly traceback: string | null;
  readonly children: readonly ResultTuple[] | null;
  /** Set for ready states only. */
  readonly dateDone: Date | null;
  readonly groupId: string | null;
  readonly parentId: string | null;
  /** Only with `result_extended`. */
  readonly extended: ExtendedMeta | null;
}

/** Further fields of a stored result, see `result_extended`. */
export interface ExtendedMeta {
  readonly name: string;
  readonly args: EncodedValue | null;
  readonly kwargs: EncodedValue | null;
  readonly worker: string;
  readonly retries: number;
  readonly queue: string | null;
  readonly stampedHeaders?: readonly string[];
  readonly stamps?: Readonly<Record<string, unknown>>;
}
