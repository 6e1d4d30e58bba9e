import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { nearest } from '../core/nearest.ts';
import { count, createPaint, print } from './output.ts';
import { printReply } from './replies.ts';

/** Options of `celery-ts remote` as commander gives them. */
export interface RemoteOptions {
  readonly timeout: number;
  readonly destination?: readonly string[];
  readonly json?: boolean;
  readonly list?: boolean;
}

/** A command that workers understand, as the command line offers it. */
interface RemoteCommand {
  /** Names of its arguments, in order. */
  readonly args: readonly string[];
  /** The arguments as shown. */
  readonly signature: string;
  readonly help: string;
}

type Kind = 'control' | 'inspect';

const COMMANDS: Readonly<Record<Kind, Readonly<Record<string, RemoteCommand>>>> = {
  control: {
    rate_limit: {
      args: ['task_name', 'rate_limit'],
      signature: '<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>',
      help: 'Change how often a task may start, on each worker.',
    },
  },
  inspect: { ping: { args: [], signature: '', help: 'Ask whether the workers answer.' } },
};

interface Reply {
  readonly node: string;
  readonly reply: unknown;
}

/** `celery-ts control` and `celery-ts inspect`. */
export function runRemote(
  kind: Kind,
  context: Context,
  words: readonly string[],
  options: RemoteOptions,
): Promise<number> {
  if (options.list === true) {
    print(listing(kind));
    return Promise.resolve(EXIT.ok);
  }
  const [name, ...args] = words;
  if (name === undefined) throw context.usage("Missing argument 'COMMAND'.");
  const command = COMMANDS[kind][name];
  if (command === undefined) throw unknown(kind, name, context);
  if (args.length > command.args.length) {
    throw context.usage(
      `Command '${name}' takes arguments: ${command.signature === '' ? 'none' : command.signature}`,
    );
  }
  const values = Object.fromEntries(args.map((value, index) => [command.args[index] ?? '', value]));
  return ask(context, name, values, options, (replies) => {
    if (options.json === true) {
      const objects = replies.map(({ node, reply }) => ({ [node]: reply }));
      print(pythonJson(kind === 'control' ? objects : Object.assign({}, ...objects)));
      return;
    }
    printReplies(context, replies, true);
    if (kind === 'inspect' && context.global.quiet !== true)
      print(`\n${count(replies.length, 'node')} online.`);
  });
}

/** `celery-ts status`. */
export function runStatus(context: Context, options: RemoteOptions): Promise<number> {
  return ask(context, 'ping', {}, options, (replies) => {
    if (options.json === true) {
      print(pythonJson(Object.fromEntries(replies.map(({ node, reply }) => [node, reply]))));
    } else {
      printReplies(context, replies, false);
    }
    print(`\n${count(replies.length, 'node')} online.`);
  });
}

function ask(
  context: Context,
  command: string,
  args: Readonly<Record<string, unknown>>,
  { timeout, destination }: RemoteOptions,
  show: (replies: readonly Reply[]) => void,
): Promise<number> {
  return withApp(context, async ({ app }) => {
    const replies = await app.control.broadcast(command, args, {
      reply: true,
      timeout,
      ...(destination !== undefined && { destination, limit: destination.length }),
    });
    if (replies.length === 0) {
      throw new CliFailure('Error: No nodes replied within time constraint', EXIT.unavailable);
    }
    show(replies.flatMap((each) => Object.entries(each).map(([node, reply]) => ({ node, reply }))));
    return EXIT.ok;
  });
}

function printReplies(context: Context, replies: readonly Reply[], body: boolean): void {
  const paint = createPaint(context.global.color);
  const quiet = context.global.quiet === true;
  for (const { node, reply } of replies) printReply(node, reply, { paint, quiet, body });
}

function unknown(kind: Kind, name: string, context: Context): CliFailure {
  const known = Object.keys(COMMANDS[kind]).sort();
  const similar = nearest(name, known);
  const hint = similar === undefined ? '' : `. Did you mean '${similar}'?`;
  return context.usage(
    `Command ${name} not recognized. Available ${kind} commands: ${known.join(', ')}${hint}`,
  );
}

const HELP_COLUMN = 34;

function listing(kind: Kind): string {
  const title = kind === 'control' ? 'Control Commands:' : 'Inspect Commands:';
  const lines = Object.entries(COMMANDS[kind]).map(([name, { signature, help }]) => {
    const left = `  ${name} ${signature}`.trimEnd();
    const gap =
      left.length > HELP_COLUMN - 2 ? `\n${' '.repeat(HELP_COLUMN)}` : ' '.repeat(HELP_COLUMN - left.length);
    return left + gap + help;
  });
  return [title, ...lines].join('\n');
}

/** JSON on one line with the spaces that Python puts into it. */
function pythonJson(value: unknown): string {
  return JSON.stringify(value, null, 1).replaceAll(/,\n */g, ', ').replaceAll(/\n */g, '');
}
