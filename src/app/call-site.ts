import { fileURLToPath } from 'node:url';

/**
 * The file of the code that called `callee`; undefined when it has none (a REPL, `node -e`).
 *
 * The app's own module is where the search for its config file begins, and only the stack knows which that is.
 */
export function callerFile(callee: abstract new (...args: never[]) => unknown): string | undefined {
  const before = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  try {
    Error.prepareStackTrace = (_, sites) => sites;
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, callee);
    const file = (holder.stack as NodeJS.CallSite[])[0]?.getFileName();
    return file === undefined || file === null ? undefined : pathOf(file);
  } finally {
    if (before === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
    else Object.defineProperty(Error, 'prepareStackTrace', before);
  }
}

function pathOf(file: string): string | undefined {
  if (file.startsWith('/')) return file;
  // tsx may add a query to the address of a module.
  return file.startsWith('file:') ? fileURLToPath(new URL(file.replace(/\?.*$/, ''))) : undefined;
}
