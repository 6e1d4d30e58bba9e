import type { Logger } from '../core/logger.ts';
import { TimeLimitExceeded } from '../core/errors.ts';
import { pythonRepr } from '../core/python-repr.ts';
import type { Outcome } from '../message/outcome.ts';
import type { Request } from './request.ts';

type Ended<Kind extends Outcome['kind']> = Extract<Outcome, { kind: Kind }>;

/** Writes the lines about tasks as Celery prints them, under the name of the process that ran each. */
export class TaskLog {
  readonly #logger: Logger;
  // One for each process of the pool; their names count on as processes are replaced, so old ones go.
  readonly #loggers = new Map<string, Logger>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  received(request: Request): void {
    if (this.#logger.isEnabled('INFO')) this.#logger.info(`Task ${request.label} received`);
  }

  discarded(request: Request): void {
    this.#logger.info(`Discarding revoked task: ${request.label}`);
  }

  succeeded(request: Request, outcome: Ended<'success'>): void {
    if (!this.#logger.isEnabled('INFO')) return;
    this.#of(request).info(
      `Task ${request.label} succeeded in ${seconds(outcome.seconds)}s: ${outcome.repr}`,
    );
  }

  failed(request: Request, outcome: Ended<'failure'>): void {
    const logger = this.#of(request);
    if (outcome.expected) logger.info(`Task ${request.label} raised expected: ${outcome.repr}`);
    else logger.error(`Task ${request.label} raised unexpected: ${outcome.repr}`, outcome.error.traceback);
  }

  retried(request: Request, outcome: Ended<'retry'>): void {
    this.#of(request).info(`Task ${request.label} retry: ${outcome.message}`);
  }

  ignored(request: Request): void {
    this.#of(request).info(`Task ${request.label} ignored`);
  }

  rejected(request: Request, outcome: Ended<'reject'>): void {
    this.#of(request).warning(
      `Task ${request.label} reject requeue=${outcome.requeue ? 'True' : 'False'}: ${outcome.reason}`,
      outcome.traceback,
    );
  }

  softLimit(request: Request, limit: number): void {
    this.#logger.warning(`Soft time limit (${limit}s) exceeded for ${request.label}`);
  }

  hardLimit(request: Request, limit: number): void {
    this.#logger.error(`Task handler raised error: ${TimeLimitExceeded.name}(${limit})`);
    this.#logger.error(`Hard time limit (${limit}s) exceeded for ${request.label}`);
  }

  lost(message: string): void {
    this.#logger.error(`Task handler raised error: WorkerLostError(${pythonRepr(message)})`);
  }

  #of(request: Request): Logger {
    const name = request.process?.name;
    if (name === undefined) return this.#logger;
    const known = this.#loggers.get(name);
    if (known !== undefined) return known;
    if (this.#loggers.size > 1000) this.#loggers.clear();
    const logger = this.#logger.withProcess(name);
    this.#loggers.set(name, logger);
    return logger;
  }
}

/** A float as Python prints it: `2.0`, `5e-05`. */
function seconds(value: number): string {
  if (Number.isInteger(value)) return `${value}.0`;
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}
