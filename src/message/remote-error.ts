import * as errors from '../core/errors.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { jsonSerializer } from './json.ts';
import type { RemoteError } from './outcome.ts';

/**
 * The form in which an error crosses processes and languages.
 *
 * Whatever was thrown has one; something that is no Error takes the type `Error` and itself as the argument. The traceback is
 * the stack, followed by those of the causes.
 */
export function toRemoteError(thrown: unknown): RemoteError {
  if (!(thrown instanceof Error)) {
    return {
      type: 'Error',
      module: null,
      args: thrown === undefined ? [] : [encodable(thrown)],
      traceback: `Error: ${pythonRepr(thrown)} was thrown, which is not an Error and has no stack`,
    };
  }
  const type = typeOf(thrown);
  return {
    type,
    module: moduleOf(thrown, type),
    args: argsOf(thrown).map(encodable),
    traceback: stacksOf(thrown),
  };
}

/** An error that was rebuilt from its remote form: what `Error` has no place for. */
export interface RebuiltError extends Error {
  /** Arguments of the exception. */
  readonly args: readonly unknown[];
  /** Python module of the exception's class. */
  readonly module: string | null;
  /** Stack trace of where it was thrown, in the words of that language. */
  readonly traceback: string | null;
}

/**
 * An Error made of its remote form: our own class for Celery's names, JavaScript's class where there is one of that name, else
 * an `Error` with that `name`. Several arguments stay in `args`. Nothing is loaded or evaluated for it.
 */
export function fromRemoteError(remote: RemoteError): RebuiltError {
  const error = emptyError(remote, messageOf(remote.args));
  const fields = { args: remote.args, module: remote.module, traceback: remote.traceback };
  for (const [name, value] of Object.entries(fields)) {
    // Not enumerable, as `message` and `stack` are not.
    Object.defineProperty(error, name, { value, writable: true, enumerable: false, configurable: true });
  }
  return error as RebuiltError;
}

/** The error as Python prints it: `ValueError('boom')`. */
export function errorRepr(error: unknown): string {
  const { type, args } =
    error instanceof Error ? { type: typeOf(error), args: argsOf(error) } : toRemoteError(error);
  return `${type}(${args.map(pythonRepr).join(', ')})`;
}

/** The form of an error in a stored result. */
export interface ErrorJson {
  readonly exc_type: string;
  readonly exc_message: readonly unknown[];
  readonly exc_module: string | null;
}

export function errorToJson(remote: RemoteError): ErrorJson {
  return { exc_type: remote.type, exc_message: remote.args, exc_module: remote.module };
}

/**
 * Reads the stored form of an error, also the old one whose message is a text; undefined when it is none.
 * @param traceback stands beside it in a result
 */
export function errorFromJson(value: unknown, traceback: string | null): RemoteError | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const {
    exc_type: type,
    exc_message: message,
    exc_module: module,
  } = value as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string') return undefined;
  const given: readonly unknown[] = Array.isArray(message) ? message : [message];
  return {
    type,
    module: typeof module === 'string' ? module : null,
    args: message === undefined || message === null ? [] : given,
    traceback,
  };
}

type ErrorClass = new (message?: string) => Error;

// Celery's, by name; Retry and Reject take more than a message.
const CELERY_CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>(
  [
    ...[errors.CeleryError, errors.ImproperlyConfigured, errors.SecurityError, errors.ContentDisallowed],
    ...[
      errors.DecodeError,
      errors.EncodeError,
      errors.OperationalError,
      errors.TaskError,
      errors.QueueNotFound,
    ],
    ...[errors.NotRegistered, errors.AlreadyRegistered, errors.TimeoutError, errors.MaxRetriesExceededError],
    ...[errors.TaskRevokedError, errors.InvalidTaskError, errors.ChordError, errors.BackendError],
    ...[errors.BackendGetMetaError, errors.BackendStoreError, errors.SoftTimeLimitExceeded],
    ...[errors.TimeLimitExceeded, errors.WorkerLostError, errors.Terminated, errors.Ignore, errors.Reject],
  ].map((constructor) => [constructor.name, constructor]),
);

const CELERY_MODULES: ReadonlySet<string | null> = new Set([
  null,
  'celery.exceptions',
  'kombu.exceptions',
  'billiard.exceptions',
]);

const SCRIPT_CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ['Error', Error],
  ['EvalError', EvalError],
  ['RangeError', RangeError],
  ['ReferenceError', ReferenceError],
  ['SyntaxError', SyntaxError],
  ['TypeError', TypeError],
  ['URIError', URIError],
]);

function emptyError(remote: RemoteError, message: string): Error {
  const celery = CELERY_MODULES.has(remote.module) ? CELERY_CLASSES.get(remote.type) : undefined;
  const constructor = celery ?? SCRIPT_CLASSES.get(remote.type);
  if (constructor !== undefined) return new constructor(message);
  const error = new Error(message);
  Object.defineProperty(error, 'name', {
    value: remote.type,
    writable: true,
    enumerable: false,
    configurable: true,
  });
  // The stack was made under the name `Error`.
  if (error.stack !== undefined) error.stack = error.stack.replace(/^Error/, () => remote.type);
  return error;
}

/** What `str(exception)` gives: the one argument, else all of them as a tuple. */
function messageOf(args: readonly unknown[]): string {
  const [first] = args;
  if (args.length === 0) return '';
  if (args.length === 1) return typeof first === 'string' ? first : pythonRepr(first);
  return `(${args.map(pythonRepr).join(', ')})`;
}

/** The name that the author of the error gave it: its `name`, or its class's where that is only inherited from a built-in. */
function typeOf(error: Error): string {
  const { name } = error as { name: unknown };
  const named = typeof name === 'string' && name !== '';
  if (named && (Object.hasOwn(error, 'name') || !SCRIPT_CLASSES.has(name))) return name;
  const constructor: unknown = error.constructor;
  if (typeof constructor === 'function' && constructor.name !== '') return constructor.name;
  return named ? name : 'Error';
}

// Python's own exceptions that take any arguments. A client there raises its own class of that name.
const PYTHON_BUILTINS: ReadonlySet<string> = new Set([
  ...[
    'ArithmeticError',
    'AssertionError',
    'AttributeError',
    'BlockingIOError',
    'BrokenPipeError',
    'BufferError',
  ],
  ...['ChildProcessError', 'ConnectionAbortedError', 'ConnectionError', 'ConnectionRefusedError', 'EOFError'],
  ...['ConnectionResetError', 'Exception', 'FileExistsError', 'FileNotFoundError', 'FloatingPointError'],
  ...['ImportError', 'IndentationError', 'IndexError', 'InterruptedError', 'IsADirectoryError', 'KeyError'],
  ...['LookupError', 'MemoryError', 'ModuleNotFoundError', 'NameError', 'NotADirectoryError', 'OSError'],
  ...['NotImplementedError', 'OverflowError', 'PermissionError', 'ProcessLookupError', 'RecursionError'],
  ...['ReferenceError', 'RuntimeError', 'SyntaxError', 'SystemError', 'TimeoutError', 'TypeError', 'Warning'],
  ...['UnboundLocalError', 'ValueError', 'ZeroDivisionError'],
]);

function moduleOf(error: Error, type: string): string | null {
  const { module } = error as { module?: unknown };
  if (typeof module === 'string') return module;
  return PYTHON_BUILTINS.has(type) ? 'builtins' : null;
}

function argsOf(error: Error): readonly unknown[] {
  const { args } = error as { args?: unknown };
  if (Array.isArray(args)) return args;
  const message: unknown = error.message;
  return message === '' || message === undefined ? [] : [message];
}

/** The value itself where a serializer takes it, else as it prints. */
function encodable(value: unknown): unknown {
  if (typeof value === 'string') return value;
  try {
    return jsonSerializer.parse(jsonSerializer.encode(value));
  } catch (error) {
    if (error instanceof errors.EncodeError) return pythonRepr(value);
    throw error;
  }
}

// Enough for any chain of causes that a person reads.
const MAX_CAUSES = 10;

function stacksOf(error: Error): string {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  let current: unknown = error;
  while (current !== undefined && !seen.has(current) && seen.size < MAX_CAUSES) {
    seen.add(current);
    texts.push(seen.size === 1 ? stackOf(current) : `Caused by: ${stackOf(current)}`);
    current = current instanceof Error ? current.cause : undefined;
  }
  return texts.join('\n');
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return pythonRepr(error);
  const stack: unknown = error.stack;
  const own =
    typeof stack === 'string' && stack !== '' ? headedBy(typeOf(error), error.name, stack) : fallback(error);
  const { traceback, errors: several } = error as { traceback?: unknown; errors?: unknown };
  const parts = [own];
  if (typeof traceback === 'string') parts.push(`Remote traceback:\n${traceback.trimEnd()}`);
  if (error instanceof AggregateError && Array.isArray(several)) {
    for (const part of several.slice(0, MAX_CAUSES)) parts.push(`Together with: ${stackOf(part)}`);
  }
  return parts.join('\n');
}

/** A class that does not set its own name has its parent's at the head of the stack. */
function headedBy(type: string, name: unknown, stack: string): string {
  return typeof name === 'string' && stack.startsWith(`${name}:`) ? type + stack.slice(name.length) : stack;
}

function fallback(error: Error): string {
  return `${typeOf(error)}: ${error.message}`;
}
