import { inspect } from 'node:util';
import type { Celery } from '../../app/celery.ts';
import type { EventHandler } from '../../app/event-receiver.ts';
import { CeleryError } from '../../core/errors.ts';
import type { MonitoredTask } from '../../monitor/task.ts';
import { createPaint } from '../output.ts';
import { pythonJson } from '../replies.ts';
import { listed, render } from './screen.ts';
import type { Size, View } from './screen.ts';

/** Redraws at most so often while events come. */
const DRAW_MS = 100;
/** Clocks and heartbeats go on without events. */
const TICK_MS = 1000;

/** What the monitor is given by the command. */
export interface MonitorSetup {
  readonly app: Celery;
  readonly color: boolean;
  /** Aborted when the program is to end. */
  readonly signal: AbortSignal;
  /** The user wants to leave. */
  quit(): void;
  /** Hands events to the handler until the signal, and says how the connection is. */
  capture(onEvent: EventHandler, say: (text: string) => void): Promise<void>;
}

/** The full-screen view of `celery-ts events`; leaves the terminal as it found it. */
export async function runMonitor(setup: MonitorSetup): Promise<void> {
  const monitor = new Monitor(setup);
  monitor.open();
  try {
    await setup.capture(
      (event) => monitor.event(event),
      (text) => monitor.say(text),
    );
  } finally {
    monitor.close();
  }
}

type Command = (task: MonitoredTask) => Promise<readonly string[]> | readonly string[];

class Monitor {
  readonly #setup: MonitorSetup;
  readonly #state;
  readonly #out = process.stdout;
  #view: View = { selected: undefined, panel: undefined, prompt: undefined, notice: '', events: 0 };
  #ticking: NodeJS.Timeout | undefined;
  #drawing: NodeJS.Timeout | undefined;
  readonly #onKeys = (keys: string): void => this.#type(keys);
  readonly #onResize = (): void => this.#draw();
  readonly #onExit = (): void => this.close();

  constructor(setup: MonitorSetup) {
    this.#setup = setup;
    this.#state = setup.app.events.State();
  }

  open(): void {
    process.once('exit', this.#onExit);
    // Another screen, without a cursor.
    this.#out.write('\u001b[?1049h\u001b[?25l\u001b[2J');
    process.stdin.setRawMode(true);
    process.stdin.setEncoding('utf8').on('data', this.#onKeys).resume();
    this.#out.on('resize', this.#onResize);
    this.#ticking = setInterval(this.#onResize, TICK_MS);
    this.#draw();
  }

  close(): void {
    if (this.#ticking === undefined) return;
    clearInterval(this.#ticking);
    clearTimeout(this.#drawing);
    this.#ticking = undefined;
    process.off('exit', this.#onExit);
    this.#out.off('resize', this.#onResize);
    process.stdin.off('data', this.#onKeys).pause();
    process.stdin.setRawMode(false);
    this.#out.write('\u001b[?25h\u001b[?1049l');
  }

  event(event: Parameters<EventHandler>[0]): void {
    this.#state.event(event);
    this.#show({ events: this.#view.events + 1, notice: '' });
  }

  say(text: string): void {
    this.#show({ notice: text.replaceAll('\n', ' ') });
  }

  #show(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change };
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    if (this.#ticking === undefined) return;
    this.#view = { ...this.#view, selected: this.#view.selected ?? listed(this.#state)[0]?.uuid };
    const size: Size = { columns: this.#out.columns, rows: this.#out.rows };
    const lines = render(this.#state, this.#view, size, createPaint(this.#setup.color));
    this.#out.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`);
  }

  #type(keys: string): void {
    for (const [key] of keys.matchAll(/\u001b\[[A-D]|\u001b|[^]/gu)) this.#key(key);
  }

  #key(key: string): void {
    const { prompt, panel } = this.#view;
    const isList = prompt === undefined && panel === undefined;
    if (key === '\u0003' || (key === 'q' && isList)) this.#setup.quit();
    else if (prompt !== undefined) this.#edit(prompt, key);
    else if (panel !== undefined) {
      const scroll = panel.scroll + (key === 'j' || key === DOWN ? 1 : -1);
      const stays = key === 'j' || key === DOWN || key === 'k' || key === UP;
      this.#show({ panel: stays ? { ...panel, scroll: Math.max(0, scroll) } : undefined });
    } else this.#command(key);
  }

  #command(key: string): void {
    switch (key) {
      case 'j':
      case DOWN:
        return this.#move(1);
      case 'k':
      case UP:
        return this.#move(-1);
      case 'i':
        return this.#open('Task details', (task) => details(task));
      case 't':
        return this.#open('Traceback', (task) => this.#traceback(task));
      case 'r':
        return this.#open('Result', (task) => this.#result(task));
      case 'c':
        return this.#open('Revoke', (task) => this.#revoke(task));
      case 'w':
        return this.#show({ panel: { title: 'Workers', lines: this.#workers(), scroll: 0 } });
      case 'l':
      case 'L':
        if (this.#task() !== undefined) this.#show({ prompt: { label: 'New rate limit', text: '' } });
        return;
      default:
    }
  }

  #move(by: number): void {
    const all = listed(this.#state);
    const at = all.findIndex(({ uuid }) => uuid === this.#view.selected) + by;
    const next = all[Math.max(0, Math.min(at, all.length - 1))];
    if (next !== undefined) this.#show({ selected: next.uuid });
  }

  #task(): MonitoredTask | undefined {
    const { selected } = this.#view;
    return selected === undefined ? undefined : this.#state.tasks.get(selected);
  }

  #edit(prompt: NonNullable<View['prompt']>, key: string): void {
    if (key === '\u001b') this.#show({ prompt: undefined });
    else if (key === '\u007f' || key === '\b')
      this.#show({ prompt: { ...prompt, text: prompt.text.slice(0, -1) } });
    else if (key !== '\r') {
      // Arrows and the like are no text.
      if (/^\P{Cc}$/u.test(key)) this.#show({ prompt: { ...prompt, text: prompt.text + key } });
    } else {
      this.#show({ prompt: undefined });
      this.#open('Rate limit', (task) => this.#rateLimit(task, prompt.text.trim()));
    }
  }

  /** Shows what a command about the selected task says, when it has said it. */
  #open(title: string, command: Command): void {
    const task = this.#task();
    if (task === undefined) return;
    const waiting = { title: `${title}: ${task.name ?? ''}[${task.uuid}]`, lines: ['…'], scroll: 0 };
    const show = (lines: readonly string[]): void => {
      // The user may have left it meanwhile, and keys are for something else.
      if (this.#view.panel?.title === waiting.title) this.#show({ panel: { ...waiting, lines } });
    };
    this.#show({ panel: waiting });
    Promise.resolve(command(task)).then(show, (error: unknown) => {
      show([error instanceof CeleryError ? error.message : inspect(error)].join('\n').split('\n'));
    });
  }

  async #traceback(task: MonitoredTask): Promise<string[]> {
    const stored = await this.#setup.app.AsyncResult(task.uuid).traceback();
    return (stored ?? task.fields.traceback ?? 'The task has no traceback.').split('\n');
  }

  async #result(task: MonitoredTask): Promise<string[]> {
    const result = this.#setup.app.AsyncResult(task.uuid);
    if (await result.ready()) return inspect(await result.get({ propagate: false })).split('\n');
    const { result: told, exception } = task.fields;
    return [told ?? exception ?? `The task has no result yet: ${task.state}.`];
  }

  async #revoke(task: MonitoredTask): Promise<string[]> {
    return answers(await this.#setup.app.control.revoke(task.uuid, { reply: true }));
  }

  async #rateLimit(task: MonitoredTask, limit: string): Promise<string[]> {
    const options = { reply: true, signal: this.#setup.signal };
    return answers(await this.#setup.app.control.rateLimit(task.name ?? '', limit, options));
  }

  #workers(): string[] {
    const all = [...this.#state.workers.values()];
    if (all.length === 0) return ['No worker has told anything yet; start them with -E.'];
    return all.map(({ hostname, statusString, active, processed, pid, loadavg }) => {
      const load = loadavg?.join(' ') ?? '';
      return (
        `${hostname.padEnd(32)} ${statusString.padEnd(8)} pid:${String(pid ?? '')} active:${String(active ?? 0)} ` +
        `processed:${String(processed ?? 0)} load:${load}`
      );
    });
  }
}

const UP = '\u001b[A';
const DOWN = '\u001b[B';

function answers(replies: readonly Readonly<Record<string, unknown>>[]): string[] {
  const lines = replies.flatMap((reply) =>
    Object.entries(reply).map(([node, answer]) => `${node}: ${pythonJson(answer)}`),
  );
  return lines.length === 0 ? ['No worker has answered.'] : lines;
}

function details(task: MonitoredTask): string[] {
  const fields = {
    state: task.state,
    ...task.info([], ['args', 'kwargs', 'retries', 'runtime', 'result', 'exception', 'eta']),
  };
  return Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
}
