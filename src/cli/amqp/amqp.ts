import { createInterface } from 'node:readline';
import type { Celery } from '../../app/celery.ts';
import { CeleryError } from '../../core/errors.ts';
import { nearest } from '../../core/nearest.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import { withApp } from '../app.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { COLORS, createPaint, print, printError } from '../output.ts';
import type { Paint } from '../output.ts';
import { pythonJson } from '../replies.ts';
import { AmqpSession } from './session.ts';
import type { AmqpAnswer, AmqpValues } from './session.ts';
import { AMQP_COMMANDS, amqpValue, signatureOf } from './table.ts';
import type { AmqpCommand } from './table.ts';

/** Options of the commands of `celery-ts amqp`. */
export interface AmqpOptions {
  readonly json?: boolean;
}

/** `celery-ts amqp COMMAND`: one command on a connection of its own. */
export function runAmqp(
  context: Context,
  command: AmqpCommand,
  words: readonly string[],
  { json = false }: AmqpOptions,
): Promise<number> {
  const read = readValues(command, words);
  if (typeof read === 'string') throw context.usage(read);
  return withApp(context, async ({ app }) => {
    const shell = new Shell(context, app, json);
    await shell.connect();
    try {
      return (await shell.run(command, read)) ? EXIT.ok : EXIT.failure;
    } finally {
      await shell.close();
    }
  });
}

/** `celery-ts amqp`: reads commands line by line until the end of its input. */
export function runAmqpShell(context: Context): Promise<number> {
  return withApp(context, async ({ app }) => {
    const shell = new Shell(context, app, false);
    await shell.connect();
    const terminal = process.stdin.isTTY;
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal,
      prompt: terminal ? '> ' : '',
      completer: (line: string) => [
        AMQP_COMMANDS.map(({ name }) => name).filter((name) => name.startsWith(line)),
        line,
      ],
    });
    lines.once('SIGINT', () => lines.close());
    lines.prompt();
    try {
      for await (const line of lines) {
        if (!(await shell.type(line))) break;
        lines.prompt();
      }
    } finally {
      lines.close();
      await shell.close();
    }
    return EXIT.ok;
  });
}

/** Runs commands and prints what comes of them, as Celery does. */
class Shell {
  readonly #context: Context;
  readonly #app: Celery;
  readonly #paint: Paint;
  readonly #json: boolean;
  #session: AmqpSession | undefined;

  constructor(context: Context, app: Celery, json: boolean) {
    this.#context = context;
    this.#app = app;
    this.#json = json;
    this.#paint = createPaint(context.global.color);
  }

  async connect(): Promise<void> {
    await this.close();
    const transport = this.#app.transport();
    this.#note(`-> connecting to ${transport.url}.`);
    const seconds = this.#app.settings.broker_connection_timeout ?? 60;
    const connection = await transport.connect(AbortSignal.timeout(seconds * 1000));
    this.#session = await AmqpSession.open(connection);
    this.#note(this.#paint('-> connected.', COLORS.green, COLORS.bold));
  }

  /** @returns whether it went well */
  async run(command: AmqpCommand, values: AmqpValues): Promise<boolean> {
    try {
      const answer = await this.#session?.run(command.name, values);
      this.#show(answer);
      return true;
    } catch (error) {
      if (!(error instanceof CeleryError)) throw error;
      printError(`${this.#paint('ERROR', COLORS.red, COLORS.bold)}: ${error.message}`);
      return false;
    }
  }

  /** A line of the prompt; false when it ends the shell. */
  async type(line: string): Promise<boolean> {
    const [name = '', ...words] = wordsOf(line);
    if (['exit', 'quit', ':q', ':quit', ':exit'].includes(name)) return false;
    if (name === '') return true;
    if (['help', '?', ':help', ':h'].includes(name)) {
      for (const each of AMQP_COMMANDS)
        print(`${`${each.name} ${signatureOf(each)}`.padEnd(64)} ${each.help}`);
      return true;
    }
    const command = AMQP_COMMANDS.find((each) => each.name === name);
    if (command === undefined) {
      const meant = nearest(name, [...AMQP_COMMANDS.map((each) => each.name), 'exit', 'help']);
      printError(`No such command '${name}'.${meant === undefined ? '' : ` Did you mean '${meant}'?`}`);
      return true;
    }
    const values = readValues(command, words);
    if (typeof values === 'string') printError(`Usage: ${name} ${signatureOf(command)}\n\nError: ${values}`);
    // What was taken stays with the old connection, and went back with it.
    else if (!(await this.run(command, values))) await this.connect();
    return true;
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.[Symbol.asyncDispose]();
  }

  #show(answer: AmqpAnswer): void {
    if (this.#json) {
      const value = answer !== undefined && 'message' in answer ? (answer.message ?? null) : answer;
      print(pythonJson(value ?? { ok: true }));
      return;
    }
    const cyan = (text: string): void => print(this.#paint(text, COLORS.cyan, COLORS.bold));
    if (answer !== undefined) {
      if ('queue' in answer) {
        const { queue, messages, consumers } = answer;
        cyan(`queue:${queue} messages:${String(messages)} consumers:${String(consumers)}`);
      } else if ('deleted' in answer) cyan(`${String(answer.deleted)} messages deleted.`);
      else print(shown(answer.message));
    }
    print(this.#paint('OK', COLORS.green, COLORS.bold));
  }

  #note(text: string): void {
    if (this.#context.global.quiet !== true && !this.#json) print(text);
  }
}

function shown(message: Readonly<Record<string, unknown>> | undefined): string {
  if (message === undefined) return 'No messages in queue. basic.publish something.';
  const lines = Object.entries(message).map(([key, value]) => `'${key}': ${pythonRepr(value)}`);
  return `{${lines.join(',\n ')}}`;
}

/** The values of words by the arguments of a command, or what is wrong with them. */
function readValues({ args }: AmqpCommand, words: readonly string[]): AmqpValues | string {
  const values: Record<string, string | boolean | number> = {};
  for (const [index, argument] of args.entries()) {
    const word = words[index];
    if (word === undefined) {
      if (argument.optional !== true) return `Missing argument '${argument.name.toUpperCase()}'.`;
      continue;
    }
    const value = amqpValue(word, argument);
    const what = argument.type === 'int' ? 'integer' : 'boolean';
    if (value === undefined) {
      return `Invalid value for '${argument.name.toUpperCase()}': '${word}' is not a valid ${what}.`;
    }
    values[argument.name] = value;
  }
  const extra = words.slice(args.length);
  return extra.length === 0 ? values : `Got unexpected extra argument (${extra.join(' ')})`;
}

/** Words of a line; quotes keep spaces together. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain = '']) => double?.replaceAll(/\\(.)/g, '$1') ?? single ?? plain,
  );
}
