import { describeImportError } from '../app/import-error.ts';
import { AppLoadError } from '../core/errors.ts';
import { printError } from './output.ts';

/**
 * Loads modules of the user, and tells in one line of what goes wrong beside their imports: an error thrown by a timer, a
 * rejected promise that nobody handles, an import that waits for ever, `process.exit()`.
 * @param what `Cannot load the app 'tasks'`
 * @throws {AppLoadError}
 */
export async function whileLoading<T>(what: string, cwd: string, load: () => Promise<T>): Promise<T> {
  let escape: (error: unknown) => void = () => undefined;
  const escaped = new Promise<never>((_, reject) => {
    escape = (error) => {
      reject(new AppLoadError(`${what}: ${describeImportError(error, cwd)}`, { cause: error }));
    };
  });
  // Nothing is left to wait for, and still the import has not ended.
  const onIdle = (): void => {
    escape(new Error('a promise that a module awaits at its top level will never be settled'));
  };
  const onExit = (code: number): void => {
    printError(`Error: ${what}: a module ended the process with exit code ${code}.`);
  };
  process.on('uncaughtException', escape);
  process.on('unhandledRejection', escape);
  process.on('beforeExit', onIdle);
  process.on('exit', onExit);
  try {
    return await Promise.race([load(), escaped]);
  } finally {
    process.off('uncaughtException', escape);
    process.off('unhandledRejection', escape);
    process.off('beforeExit', onIdle);
    process.off('exit', onExit);
  }
}
