import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Why importing a module of the user failed, in one line: the error and the place in the user's own files it came from. */
export function describeImportError(error: unknown, cwd: string): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const message = error.message.replaceAll(/\s*\n\s*/g, ' ');
  const place = userFrame(error.stack ?? '', cwd);
  const what = (error.name === 'Error' ? message : `${error.name}: ${message}`) + hintFor(message);
  return place === undefined || message.includes(place) ? what : `${what} (${place})`;
}

function hintFor(message: string): string {
  return message.includes('Top-level await is currently not supported')
    ? ' - for top-level await write "type": "module" into package.json, or name the file .mts'
    : '';
}

/** The first frame of the stack outside of Node and of packages, as `tasks.ts:3:9`. */
function userFrame(stack: string, cwd: string): string | undefined {
  for (const line of stack.split('\n')) {
    const frame = /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]+?)(\?[^:]*)?(:\d+:\d+)\)?$/.exec(line.trim());
    if (frame?.[1] === undefined || frame[1].includes('node_modules')) continue;
    const file = frame[1].startsWith('file:') ? fileURLToPath(frame[1]) : frame[1];
    const short = relative(cwd, file);
    if (short.startsWith('..') || isAbsolute(short)) continue;
    return `${short}${frame[3] ?? ''}`;
  }
  return undefined;
}
