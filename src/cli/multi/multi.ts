import os from 'node:os';
import { ValueError } from '../../core/errors.ts';
import { packageFile } from '../../core/package.ts';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { COLORS, count, createPaint } from '../output.ts';
import type { Paint } from '../output.ts';
import { pythonJson } from '../replies.ts';
import { signalNodes, startNode, waitForNodes } from './cluster.ts';
import type { NodeStart, StopListener } from './cluster.ts';
import { HELP, USAGE } from './help.ts';
import { DEFAULTS, nodesOf } from './nodes.ts';
import type { Node } from './nodes.ts';
import { readWords } from './words.ts';
import type { TakesValue } from './words.ts';

/** The program as the workers are started with. */
const PROGRAM = packageFile('bin/celery-ts.js');

const RESERVED = ['--nosplash', '--quiet', '-q', '--verbose', '--no-color', '-j', '--json'];

type Command = (words: readonly string[], tool: Tool) => Promise<number> | number;

const COMMANDS: Readonly<Record<string, Command>> = {
  start: (words, tool) => tool.start(words),
  stop: (words, tool) => tool.stop(words, { wait: false }),
  stopwait: (words, tool) => tool.stop(words, { wait: true }),
  stop_verify: (words, tool) => tool.stop(words, { wait: true }),
  restart: (words, tool) => tool.restart(words),
  kill: (words, tool) => tool.kill(words),
  show: (words, tool) => tool.list(words, ({ executable, argv }) => [executable, ...argv]),
  names: (words, tool) => tool.list(words, (node) => node.name),
  expand: ([template = '', ...words], tool) => tool.list(words, (node) => node.expand(template)),
  get: ([name = '', ...words], tool) => tool.get(name, words),
  help: (_, tool) => tool.say(HELP),
};

/**
 * `celery-ts multi`: several workers in the background.
 * @param words what follows the word `multi`
 * @param takesValue of the worker's and the global options
 */
export async function runMulti(
  context: Context,
  words: readonly string[],
  takesValue: TakesValue,
): Promise<number> {
  const flags = new Set(words.filter((word) => RESERVED.includes(word)));
  const [name, ...rest] = words.filter((word) => !flags.has(word));
  const tool = new Tool(context, takesValue, flags);
  if (name === undefined || name.startsWith('-')) return tool.usage(EXIT.ok);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return tool.unknown(name);
  try {
    const code = await command([...rest, ...globalWords(context)], tool);
    tool.end();
    return code;
  } catch (error) {
    if (error instanceof ValueError) throw new CliFailure(`Error: ${error.message}`);
    throw error;
  }
}

/** `celery-ts -A tasks multi …`: the workers get what stands before `multi`. */
function globalWords({ global }: Context): string[] {
  const { app, broker, resultBackend, config } = global;
  return [
    ...(app === undefined ? [] : ['-A', app]),
    ...(broker === undefined ? [] : ['-b', broker]),
    ...(resultBackend === undefined ? [] : [`--result-backend=${resultBackend}`]),
    ...(config === undefined ? [] : [`--config=${config}`]),
  ];
}

/** Runs the commands and says what they do. */
class Tool {
  readonly #context: Context;
  readonly #takesValue: TakesValue;
  readonly #paint: Paint;
  readonly #quiet: boolean;
  readonly #verbose: boolean;
  readonly #splash: boolean;
  readonly #passed = new Set<string>(['']);
  /** With `--json`: what is printed at the end; undefined without. */
  readonly #facts: Map<string, Record<string, unknown>> | undefined;

  constructor(context: Context, takesValue: TakesValue, flags: ReadonlySet<string>) {
    this.#context = context;
    this.#takesValue = takesValue;
    this.#paint = createPaint(context.global.color && !flags.has('--no-color'));
    this.#quiet = flags.has('-q') || flags.has('--quiet') || context.global.quiet === true;
    this.#verbose = flags.has('--verbose');
    this.#splash = !flags.has('--nosplash');
    this.#facts = flags.has('-j') || flags.has('--json') ? new Map() : undefined;
  }

  /** All at the same time; they are told of in their order. */
  async start(words: readonly string[]): Promise<number> {
    const { nodes } = this.#nodes(words, false);
    this.#title();
    this.#note('> Starting nodes...\n');
    const started = nodes.map((node) => ({ node, ending: tryToStart(node) }));
    let failed = false;
    for (const { node, ending } of started) {
      if (this.#verbose) this.#note(`  ${[node.executable, ...node.argv].map(quoted).join(' ')}\n`);
      this.#note(`\t> ${node.name}: `);
      if (!this.#outcome(node, await ending)) failed = true;
    }
    if (failed && nodes.some((node) => node.pidfile === node.expand(DEFAULTS.pidfile))) {
      this.#note('To keep pid and log files in this folder: --pidfile=%n.pid --logfile=%n%I.log\n');
    }
    return failed ? EXIT.failure : EXIT.ok;
  }

  async stop(words: readonly string[], { wait }: { readonly wait: boolean }): Promise<number> {
    const { nodes, signal = 'SIGTERM' } = this.#nodes(words, true);
    this.#title();
    await this.#stop(nodes, signal, wait, (node) => {
      this.#note(`> ${node.name}: ${this.#paint('DOWN', '1;35')}\n`);
    });
    return EXIT.ok;
  }

  async restart(words: readonly string[]): Promise<number> {
    const { nodes, signal = 'SIGTERM' } = this.#nodes(words, true);
    const state = { failed: false };
    this.#title();
    await this.#stop(nodes, signal, true, async (node) => {
      this.#note(this.#paint(`> Restarting node ${node.name}: `, '1;34'));
      const ended = await tryToStart(node);
      if (!this.#outcome(node, ended)) state.failed = true;
    });
    return state.failed ? EXIT.failure : EXIT.ok;
  }

  async kill(words: readonly string[]): Promise<number> {
    const { nodes } = this.#nodes(words, true);
    this.#title();
    await signalNodes(nodes, 'SIGKILL', {
      ...this.#listener('SIGKILL', (node) => this.#note(`> ${node.name}: ${this.#paint('DOWN', '1;35')}\n`)),
      onPreamble: () => undefined,
      onSignal: (node, pid) => {
        this.#know(node, { signal: 'KILL', pid });
        this.#note(`Sending KILL to node ${node.name} (${String(pid)})\n`);
      },
    });
    return EXIT.ok;
  }

  /** One line for each node; a command line is quoted as a shell needs it. */
  list(words: readonly string[], line: (node: Node) => string | readonly string[]): number {
    const lines = this.#nodes(words, false).nodes.map(line);
    if (this.#facts !== undefined) return this.say(pythonJson(lines));
    for (const each of lines) this.say(typeof each === 'string' ? each : each.map(quoted).join(' '));
    return EXIT.ok;
  }

  get(name: string, words: readonly string[]): number {
    const node = this.#nodes(words, false).nodes.find((each) => each.name === name);
    if (node === undefined) throw new CliFailure(`Error: There is no node '${name}'.`);
    return this.say(this.#facts === undefined ? node.argv.map(quoted).join(' ') : pythonJson(node.argv));
  }

  /** With `--json`, what became of the nodes of a command that starts or stops some. */
  end(): void {
    if (this.#facts === undefined || this.#facts.size === 0) return;
    this.say(pythonJson([...this.#facts].map(([node, facts]) => ({ node, ...facts }))));
  }

  say(text: string): number {
    process.stdout.write(`${text}\n`);
    return EXIT.ok;
  }

  usage(code: number): number {
    this.#title();
    this.say(USAGE);
    return code;
  }

  unknown(name: string): number {
    process.stderr.write(`Invalid command: ${name}\n`);
    return this.usage(EXIT.failure);
  }

  #nodes(words: readonly string[], withSignal: boolean): { nodes: Node[]; signal?: NodeJS.Signals } {
    const read = readWords(words, this.#takesValue, withSignal);
    const nodes = nodesOf(read, {
      hostname: os.hostname(),
      executable: process.execPath,
      command: [PROGRAM, 'worker', '--detach'],
    });
    if (nodes.length === 0) throw new ValueError('No nodes are named: give names, or a number of them.');
    return { nodes, ...(read.signal !== undefined && { signal: read.signal }) };
  }

  async #stop(
    nodes: readonly Node[],
    signal: NodeJS.Signals,
    wait: boolean,
    onDown: StopListener['onDown'],
  ): Promise<void> {
    const listener = this.#listener(signal, onDown);
    const running = await signalNodes(nodes, signal, listener);
    if (!wait) return;
    // Ctrl-C ends the waiting, as it ends a program that does not handle it.
    await waitForNodes(running, listener, new AbortController().signal);
  }

  #listener(signal: NodeJS.Signals, onDown: StopListener['onDown']): StopListener {
    const blue = (text: string) => this.#paint(text, '1;34');
    return {
      onDown: (node) => {
        this.#know(node, { running: false });
        return onDown(node);
      },
      onPreamble: () => this.#note(`${blue('> Stopping nodes...')}\n`),
      onSignal: (node, pid) => {
        this.#know(node, { signal: signal.slice(3), pid });
        this.#note(`\t> ${node.name}: ${signal.slice(3)} -> ${String(pid)}\n`);
      },
      onVanished: (node, pid) =>
        this.#note(`Could not signal ${node.name} (${String(pid)}): No such process\n`),
      onWaiting: (pids) =>
        this.#note(blue(`> Waiting for ${count(pids.length, 'node')} -> ${pids.join(', ')}...`)),
      onProgress: () => this.#note('.'),
      onGone: (node) => this.#note(`\n\t> ${node.name}: ${this.#paint('OK', '1;32')}\n`),
    };
  }

  /** Says how the start of a node went, behind its name; true when it went well. */
  #outcome(node: Node, ended: NodeStart | Error): boolean {
    const exitCode = ended instanceof Error ? undefined : ended.exitCode;
    const ok = exitCode === EXIT.ok;
    this.#know(node, { running: ok, ...(exitCode !== undefined && { exit_code: exitCode }) });
    this.#note(`${ok ? this.#paint('OK', '1;32') : this.#paint('FAILED', '1;31')}\n`);
    if (exitCode !== undefined && !ok) this.#note(`* Child terminated with exit code ${String(exitCode)}\n`);
    this.#pass(ended instanceof Error ? `${ended.message}\n` : ended.said);
    return ok;
  }

  /** What a node has said, below its line; what all of them say, once. */
  #pass(said: string): void {
    if (this.#passed.has(said)) return;
    this.#passed.add(said);
    process.stderr.write(said);
  }

  #know({ name }: Node, facts: Readonly<Record<string, unknown>>): void {
    this.#facts?.set(name, { ...this.#facts.get(name), ...facts });
  }

  #title(): void {
    if (!this.#splash) return;
    this.#note(`${this.#paint(`celery-ts multi v${this.#context.version}`, COLORS.boldCyan)}\n`);
  }

  #note(text: string): void {
    if (!this.#quiet && this.#facts === undefined) process.stdout.write(text);
  }
}

function tryToStart(node: Node): Promise<NodeStart | Error> {
  return startNode(node).catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  );
}

/** A word as a shell needs it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
