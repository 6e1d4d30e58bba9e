import type { Command } from 'commander';

/** Exit codes, as Celery's (those above 63 are from sysexits.h). */
export const EXIT = { ok: 0, failure: 1, usage: 2, unavailable: 69, cannotCreate: 73 } as const;

/** Ends the program: the text goes to stderr, as it is. */
export class CliFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failure, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command was called in a wrong way: prints how it is called before the text. */
export class UsageError extends CliFailure {
  constructor(command: Command, message: string, hint = '') {
    const path = commandPath(command);
    const lines = [
      `Usage: ${path} ${command.usage()}`,
      `Try '${path} --help' for help.`,
      '',
      `Error: ${message}`,
    ];
    super(hint + lines.join('\n'), EXIT.usage);
  }
}

/** A command or an option that celery-ts does not have; the user's app may. */
export class UnknownWord extends UsageError {}

/** `celery-ts control rate_limit`. */
export function commandPath(command: Command): string {
  const parent = command.parent === null ? '' : `${commandPath(command.parent)} `;
  return parent + command.name();
}
