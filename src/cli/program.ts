import type { ParseOptions } from 'commander';
import { CliCommand } from './command.ts';
import { UnknownWord } from './failure.ts';
import type { Setup } from './wiring.ts';

/** The root of the command line. The user's app is asked for its own commands and options when a word is not known. */
export class Program extends CliCommand {
  readonly #setup: Setup;

  constructor(setup: Setup) {
    super('celery-ts');
    this.#setup = setup;
  }

  override async parseAsync(argv: readonly string[], options?: ParseOptions): Promise<this> {
    // Help shows them as well.
    if (argv.includes('--help') && (await this.#extend(argv))) return super.parseAsync(argv, options);
    try {
      return await super.parseAsync(argv, options);
    } catch (error) {
      if (!(error instanceof UnknownWord) || !(await this.#extend(argv))) throw error;
      return super.parseAsync(argv, options);
    }
  }

  /** Only with an app; what is wrong with that is told when a command needs it. */
  async #extend(argv: readonly string[]): Promise<boolean> {
    const named = argv.some((word) => /^(-A.*|--app(=.*)?)$/.test(word));
    const { APP, CELERY_APP } = this.#setup.env;
    if (!named && APP === undefined && CELERY_APP === undefined) return false;
    const { extendProgram } = await import('./extend.ts');
    this.parseOptions([...argv]);
    try {
      return await extendProgram(this, this.#setup);
    } catch {
      return false;
    }
  }
}
