import type { Celery } from '../app/celery.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { interruptible } from './interrupt.ts';
import { count, createPaint, print } from './output.ts';
import { commandsOf, listing, readArguments, unknown } from './remote-commands.ts';
import type { Kind } from './remote-commands.ts';
import { printReply, pythonJson } from './replies.ts';

/** Options of `celery-ts control`, `inspect` and `status` as commander gives them. */
export interface RemoteOptions {
  readonly timeout: number;
  readonly destination?: readonly string[];
  readonly pattern?: string;
  readonly matcher?: 'glob' | 'pcre';
  readonly json?: boolean;
  readonly list?: boolean;
}

interface Reply {
  readonly node: string;
  readonly reply: unknown;
}

interface Question {
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** `celery-ts control` and `celery-ts inspect`. */
export function runRemote(
  kind: Kind,
  context: Context,
  words: readonly string[],
  options: RemoteOptions,
): Promise<number> {
  if (options.list === true) return list(kind, context, options.json === true);
  const [name, ...rest] = words;
  if (name === undefined) throw context.usage("Missing argument 'COMMAND'.");
  // What is wrong with one of Celery's commands shows without loading the app; without -A there are no others.
  const known = commandsOf(kind, []);
  const builtin = known.get(name);
  if (builtin !== undefined && context.global.app === undefined) readArguments(builtin, rest, context);
  if (builtin === undefined && context.global.app === undefined) throw unknown(kind, name, known, context);
  const question = (app: Celery): Question => {
    const commands = commandsOf(kind, app.userCommands);
    const command = commands.get(name);
    if (command === undefined) throw unknown(kind, name, commands, context);
    return { command: name, args: readArguments(command, rest, context) };
  };
  return ask(context, question, { ...options, body: true }, (replies) => {
    if (options.json === true) {
      const objects = replies.map(({ node, reply }) => ({ [node]: reply }));
      print(pythonJson(kind === 'control' ? objects : Object.assign({}, ...objects)));
      return;
    }
    if (kind === 'inspect' && context.global.quiet !== true)
      print(`\n${count(replies.length, 'node')} online.`);
  });
}

/** `celery-ts status`. */
export function runStatus(context: Context, options: RemoteOptions): Promise<number> {
  return ask(
    context,
    () => ({ command: 'ping', args: {} }),
    { ...options, body: false },
    (replies) => {
      if (options.json === true) {
        print(pythonJson(Object.fromEntries(replies.map(({ node, reply }) => [node, reply]))));
      }
      print(`\n${count(replies.length, 'node')} online.`);
    },
  );
}

/** `--list`: with `-A` the commands of the app, too. */
function list(kind: Kind, context: Context, json: boolean): Promise<number> {
  const show = (own: Parameters<typeof commandsOf>[1]): Promise<number> => {
    const commands = commandsOf(kind, own);
    const facts = [...commands.values()].map(({ name, signature = '', help = '' }) => ({
      name,
      signature,
      help,
    }));
    print(json ? pythonJson(facts) : listing(kind, commands));
    return Promise.resolve(EXIT.ok);
  };
  return context.global.app === undefined ? show([]) : withApp(context, ({ app }) => show(app.userCommands));
}

/** Replies are printed as they come, unless as JSON: then `show` gets all of them. */
function ask(
  context: Context,
  question: (app: Celery) => Question,
  { timeout, destination, pattern, matcher, json, body }: RemoteOptions & { readonly body: boolean },
  show: (replies: readonly Reply[]) => void,
): Promise<number> {
  return withApp(context, async ({ app }) => {
    const { command, args } = question(app);
    const paint = createPaint(context.global.color);
    const quiet = context.global.quiet === true;
    const onReply = (answer: Readonly<Record<string, unknown>>): void => {
      for (const [node, reply] of Object.entries(answer)) printReply(node, reply, { paint, quiet, body });
    };
    const replies = await interruptible((signal) =>
      app.control.broadcast(command, args, {
        reply: true,
        timeout,
        signal,
        ...(json !== true && { onReply }),
        ...(destination !== undefined && { destination, limit: destination.length }),
        ...(pattern !== undefined && { pattern, ...(matcher !== undefined && { matcher }) }),
      }),
    );
    if (replies.length === 0) {
      throw new CliFailure('Error: No nodes replied within time constraint', EXIT.unavailable);
    }
    show(replies.flatMap((each) => Object.entries(each).map(([node, reply]) => ({ node, reply }))));
    return EXIT.ok;
  });
}
