import type { ClusterState } from '../../monitor/state.ts';
import type { MonitoredTask } from '../../monitor/task.ts';
import type { Paint } from '../output.ts';
import { COLORS } from '../output.ts';

/** What is shown beside the tasks themselves. */
export interface View {
  /** Id of the task that commands are for. */
  readonly selected: string | undefined;
  /** Text over the list: a result, a traceback, what workers answered. */
  readonly panel:
    { readonly title: string; readonly lines: readonly string[]; readonly scroll: number } | undefined;
  /** A line that is being typed. */
  readonly prompt: { readonly label: string; readonly text: string } | undefined;
  /** State of the connection, when there is something to say of it. */
  readonly notice: string;
  readonly events: number;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const KEYS = 'j:down k:up i:info t:traceback r:result c:revoke l:rate limit w:workers ^c:quit';
/** Lines below the list. */
const FOOT = 5;

/** How many tasks fit. */
export function listHeight({ rows }: Size): number {
  return Math.max(1, rows - FOOT - 1);
}

/** The newest tasks first. */
export function listed(state: ClusterState): MonitoredTask[] {
  return [...state.tasks.values()].filter(({ name }) => name !== null).reverse();
}

/** The whole screen, a string for each of its rows. */
export function render(state: ClusterState, view: View, size: Size, paint: Paint): string[] {
  const height = listHeight(size);
  const body =
    view.panel === undefined
      ? [header(size.columns, paint), ...tasks(state, view, size, paint)]
      : panel(view.panel, size.columns, height + 1, paint);
  const filled = [...body, ...Array.from({ length: Math.max(0, height + 1 - body.length) }, () => '')];
  return [...filled, ...foot(state, view, size.columns, paint)].slice(0, size.rows);
}

/** Widths of id, task, worker, time and state. */
function widths(columns: number): readonly [number, number, number, number, number] {
  const [uuid, time, state] = [Math.min(36, Math.max(8, Math.floor(columns / 3))), 8, 8];
  const left = Math.max(2, columns - uuid - time - state - 4);
  const task = Math.ceil(left / 2);
  return [uuid, task, left - task, time, state];
}

function row(cells: readonly string[], columns: number): string {
  const sizes = widths(columns);
  return fit(cells.map((cell, index) => fit(cell, sizes[index] ?? 0)).join(' '), columns);
}

function header(columns: number, paint: Paint): string {
  return paint(row(['UUID', 'TASK', 'WORKER', 'TIME', 'STATE'], columns), COLORS.bold);
}

const STATE_COLORS: Readonly<Record<string, number>> = {
  SUCCESS: COLORS.green,
  FAILURE: COLORS.red,
  REVOKED: 35,
  STARTED: 33,
};

function tasks(state: ClusterState, { selected }: View, size: Size, paint: Paint): string[] {
  const all = listed(state);
  const height = listHeight(size);
  const at = Math.max(
    0,
    all.findIndex(({ uuid }) => uuid === selected),
  );
  const from = Math.max(0, Math.min(at - Math.floor(height / 2), all.length - height));
  return all.slice(from, from + height).map((task) => {
    const worker = task.worker?.hostname ?? '';
    const line = row([task.uuid, task.name ?? '', worker, clock(task.timestamp), task.state], size.columns);
    if (task.uuid === selected) return paint(line, 7);
    return paint(line, STATE_COLORS[task.state] ?? COLORS.white);
  });
}

function panel(
  { title, lines, scroll }: NonNullable<View['panel']>,
  columns: number,
  height: number,
  paint: Paint,
): string[] {
  const wrapped = lines.flatMap((line) => wrap(line, columns));
  const shown = wrapped.slice(scroll, scroll + height - 2);
  const blank = Array.from({ length: Math.max(0, height - 2 - shown.length) }, () => '');
  const more =
    scroll + height - 2 < wrapped.length ? 'j: more, any other key: back' : 'press any key to go back';
  return [
    paint(fit(title, columns), COLORS.bold),
    ...shown,
    ...blank,
    paint(fit(more, columns), COLORS.cyan),
  ];
}

function foot(state: ClusterState, view: View, columns: number, paint: Paint): string[] {
  const task = view.selected === undefined ? undefined : state.tasks.get(view.selected);
  const workers = [...state.workers.values()];
  const alive = workers.filter(({ alive: is }) => is).map(({ hostname }) => hostname);
  const about = task === undefined ? 'none' : describe(task);
  const counts =
    `events:${String(view.events)} tasks:${String(state.tasks.size)} ` +
    `workers:${String(alive.length)}/${String(workers.length)}${view.notice === '' ? '' : ` ${view.notice}`}`;
  const label = (name: string, text: string): string =>
    `${paint(name, COLORS.bold)}${fit(text, Math.max(0, columns - name.length))}`;
  const { prompt } = view;
  return [
    '-'.repeat(columns),
    label('Selected: ', about),
    label('Info: ', counts),
    label('Workers online: ', alive.join(', ') || 'none'),
    prompt === undefined ? label('Keys: ', KEYS) : label(`${prompt.label}: `, `${prompt.text}_`),
  ];
}

function describe(task: MonitoredTask): string {
  const { runtime, eta, result, exception } = task.fields;
  const parts = [
    ...(runtime === undefined ? [] : [`runtime=${runtime.toFixed(2)}s`]),
    ...(eta === undefined || eta === null ? [] : [`eta=${eta}`]),
    ...(result === undefined ? [] : [`result=${result}`]),
    ...(exception === undefined ? [] : [`exception=${exception}`]),
  ];
  return parts.length === 0 ? task.state : parts.join(' ');
}

function clock(seconds: number | null): string {
  if (seconds === null) return '';
  const time = new Date(seconds * 1000);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** Exactly so wide; nothing that a task says can move the cursor. */
function fit(text: string, width: number): string {
  const clean = plain(text);
  return clean.length > width
    ? `${clean.slice(0, Math.max(0, width - 1))}…`.slice(0, width)
    : clean.padEnd(width);
}

function wrap(line: string, columns: number): string[] {
  const clean = plain(line.replaceAll('\t', '    '));
  const parts = clean.match(new RegExp(`.{1,${String(Math.max(1, columns))}}`, 'gu'));
  return parts ?? [''];
}

function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}
