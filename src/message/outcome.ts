/** A value encoded once, where it was made, so that nobody on its way needs to decode it. */
export interface EncodedValue {
  /** Name of the serializer, e.g. `json`. */
  readonly serializer: string;
  readonly bytes: Buffer;
}

/** An error in the form that crosses processes and languages. */
export interface RemoteError {
  /** Name of the class, Celery's `exc_type`. */
  readonly type: string;
  /** Python module of that class, or the origin's name; `exc_module`. */
  readonly module: string | null;
  /** Arguments of the exception; for an Error its message. */
  readonly args: readonly unknown[];
  /** Stack trace as text. */
  readonly traceback: string | null;
}

/** A child result in Celery's tuple form: `[[id, parent], children]`. */
export type ResultTuple = readonly [readonly [string, unknown], readonly ResultTuple[] | null];

/** How a task asked to be run again. */
export interface RetryRequest {
  /** Epoch milliseconds. */
  readonly etaMs: number;
  /** The whole next body `[args, kwargs, embed]`; null = the bytes that arrived, unchanged. */
  readonly body: {
    readonly value: EncodedValue;
    readonly argsrepr: string;
    readonly kwargsrepr: string;
  } | null;
  /** `apply_async` options that override those of this run, in Celery's names (`queue`, `priority`, `headers`, …). */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What the process that ran a task adds to every end that ran user code. */
interface Ran {
  /** Run time in seconds. */
  readonly seconds: number;
  /** Tasks that this one sent. */
  readonly children: readonly ResultTuple[];
  /** What follows this task, an encoded `Embed`; null when nothing does. */
  readonly embed: EncodedValue | null;
  /** Arguments as they were bound, only when `result_extended` asks for them. */
  readonly call?: { readonly args: EncodedValue; readonly kwargs: EncodedValue };
}

/** How one execution ended. What may happen is a value here; what must not happen throws. */
export type Outcome =
  | (Ran & {
      readonly kind: 'success';
      readonly result: EncodedValue;
      /** as Python would print it */ readonly repr: string;
    })
  | (Ran & {
      readonly kind: 'failure';
      readonly error: RemoteError;
      /** Listed in the task's `throws`: logged without a traceback. */
      readonly expected: boolean;
      /** The error as Python would print it: `ValueError('boom')`. */
      readonly repr: string;
    })
  | (Ran & {
      readonly kind: 'retry';
      readonly error: RemoteError | null;
      /** As logged: `Retry in 5s: RuntimeError('x')`. */
      readonly message: string;
      readonly request: RetryRequest;
    })
  | (Ran & {
      readonly kind: 'ignore';
      /** The encoded signature that the task goes on as: `self.replace()`. */
      readonly replacement?: EncodedValue;
    })
  | (Ran & {
      readonly kind: 'reject';
      readonly requeue: boolean;
      readonly reason: string;
      readonly traceback: string | null;
    })
  /** The hard time limit passed; `seconds` is the limit. */
  | { readonly kind: 'timeout'; readonly seconds: number }
  | { readonly kind: 'terminated'; readonly signal: string }
  | { readonly kind: 'lost'; readonly exitCode: number | null; readonly signal: string | null };
