import type { LogLevel, Logger } from '../../src/core/logger.ts';
import { nullLogger } from '../../src/core/logger.ts';

/** A logger that keeps its lines, as `LEVEL/Process message`, and lets a test wait for one. */
export class LogLines {
  readonly lines: string[] = [];
  readonly logger: Logger = this.#loggerOf('MainProcess');
  readonly #waiters = new Set<() => void>();

  /** Lines that match. */
  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  /** Resolves with the line when `count` lines match. */
  async until(pattern: RegExp, count = 1, timeoutMs = 20_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.matching(pattern)[count - 1];
      if (found !== undefined) return found;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0)
        throw new Error(`No line ${String(pattern)} (${count}) among:\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiters.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #loggerOf(process: string): Logger {
    const write =
      (level: LogLevel) =>
      (message: string, error?: unknown): void => {
        const details =
          error instanceof Error ? `\n${error.stack ?? ''}` : typeof error === 'string' ? `\n${error}` : '';
        this.lines.push(`${level}/${process} ${message}${details}`);
        for (const wake of this.#waiters) wake();
        this.#waiters.clear();
      };
    return {
      ...nullLogger,
      level: 'DEBUG',
      isEnabled: () => true,
      debug: write('DEBUG'),
      info: write('INFO'),
      warning: write('WARNING'),
      error: write('ERROR'),
      critical: write('CRITICAL'),
      withProcess: (name) => this.#loggerOf(name),
    };
  }
}
