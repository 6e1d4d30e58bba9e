import { eventGroup } from '../message/event.ts';
import type { CeleryEvent } from '../message/event.ts';
import { MonitoredTask } from './task.ts';
import { MonitoredWorker } from './worker.ts';

/** Options of `app.events.State`; each may be left out. */
export interface ClusterStateOptions {
  /** Told of every event, before the state takes it. */
  readonly callback?: (state: ClusterState, event: CeleryEvent) => void;
  /** Default 5000; those known longest go first. */
  readonly maxWorkers?: number;
  /** Default 10000; those known longest go first. */
  readonly maxTasks?: number;
  /** Told of a worker that is new, or says that it is online. */
  readonly onNodeJoin?: (worker: MonitoredWorker) => void;
  /** Told of a worker that says that it goes. */
  readonly onNodeLeave?: (worker: MonitoredWorker) => void;
}

/** A picture of the cluster made of events: its workers and its latest tasks. Celery's `celery.events.state.State`. */
export class ClusterState {
  /** By node name. */
  readonly workers = new Map<string, MonitoredWorker>();
  /** By id, in the order in which they became known. */
  readonly tasks = new Map<string, MonitoredTask>();
  /** Events so far. */
  eventCount = 0;
  /** `task-received` events so far. */
  taskCount = 0;
  readonly #options: ClusterStateOptions;
  readonly #maxWorkers: number;
  readonly #maxTasks: number;
  readonly #order = new WeakMap<MonitoredTask, EventOrder>();
  readonly #children = new Map<string, Set<MonitoredTask>>();

  constructor(options: ClusterStateOptions = {}) {
    this.#options = options;
    this.#maxWorkers = options.maxWorkers ?? 5000;
    this.#maxTasks = options.maxTasks ?? 10_000;
  }

  /** Takes an event; of groups other than `worker` and `task`, and without the fields it needs, it is only counted. */
  event(event: CeleryEvent): void {
    this.eventCount += 1;
    this.#options.callback?.(this, event);
    const group = eventGroup(event.type);
    const subject = event.type.slice(group.length + 1);
    if (group === 'worker') this.#workerEvent(subject, event);
    else if (group === 'task' && typeof event.uuid === 'string') this.#taskEvent(event.uuid, subject, event);
  }

  /** Workers whose heartbeats come. */
  aliveWorkers(): MonitoredWorker[] {
    return [...this.workers.values()].filter((worker) => worker.alive);
  }

  /** Names of the tasks, sorted. */
  taskTypes(): string[] {
    const names = new Set([...this.tasks.values()].flatMap(({ name }) => name ?? []));
    return [...names].sort();
  }

  /** Tasks by the logical time of their last event, latest first. */
  tasksByTime({
    limit = Infinity,
    reverse = true,
  }: { limit?: number; reverse?: boolean } = {}): MonitoredTask[] {
    const sorted = [...this.tasks.values()].sort((one, other) =>
      compareOrder(this.#order.get(one), this.#order.get(other)),
    );
    return (reverse ? sorted.reverse() : sorted).slice(0, limit);
  }

  /** The same, of one name. */
  tasksByType(name: string, limit = Infinity): MonitoredTask[] {
    return this.tasksByTime()
      .filter((task) => task.name === name)
      .slice(0, limit);
  }

  /** The same, of one worker. */
  tasksByWorker(hostname: string, limit = Infinity): MonitoredTask[] {
    return this.tasksByTime()
      .filter((task) => task.worker?.hostname === hostname)
      .slice(0, limit);
  }

  /** Tasks that this task has sent, of those known. */
  childrenOf(task: MonitoredTask): MonitoredTask[] {
    return [...(this.#children.get(task.uuid) ?? [])];
  }

  /** The task that has sent it, if known. */
  parentOf(task: MonitoredTask): MonitoredTask | undefined {
    return this.tasks.get(task.fields.parent_id ?? '');
  }

  /** The first task of its workflow, if known. */
  rootOf(task: MonitoredTask): MonitoredTask | undefined {
    return this.tasks.get(task.fields.root_id ?? '');
  }

  /** Forgets tasks: those that have ended, or all. */
  clearTasks(ready = true): void {
    for (const task of this.tasks.values()) if (!ready || task.ready) this.#forget(task);
  }

  /** Forgets the workers, and tasks as `clearTasks` does. */
  clear(ready = true): void {
    this.workers.clear();
    this.clearTasks(ready);
    this.eventCount = 0;
    this.taskCount = 0;
  }

  toString(): string {
    return `<State: events=${this.eventCount} tasks=${this.taskCount}>`;
  }

  #workerEvent(subject: string, event: CeleryEvent): void {
    const { hostname, timestamp, local_received: arrived } = event;
    if (typeof hostname !== 'string' || typeof timestamp !== 'number') return;
    const { onNodeJoin, onNodeLeave } = this.#options;
    const isKnown = this.workers.has(hostname);
    const isOffline = subject === 'offline';
    const worker = this.workers.get(hostname) ?? new MonitoredWorker(hostname);
    worker.told(event);
    if (isOffline) {
      worker.left();
      this.workers.delete(hostname);
      onNodeLeave?.(worker);
      return;
    }
    worker.livedAt(typeof arrived === 'number' ? arrived : timestamp);
    if (!isKnown) this.#addWorker(worker);
    if (!isKnown || subject === 'online') onNodeJoin?.(worker);
  }

  #taskEvent(uuid: string, subject: string, event: CeleryEvent): void {
    const { hostname, timestamp, clock, local_received: arrived } = event;
    const task = this.tasks.get(uuid) ?? this.#addTask(uuid);
    if (subject === 'sent') task.client = hostname;
    else {
      task.worker = this.workers.get(hostname) ?? this.#addWorker(new MonitoredWorker(hostname));
      task.worker.livedAt(typeof arrived === 'number' ? arrived : timestamp);
    }
    if (subject === 'received') this.taskCount += 1;
    task.told(subject, event);
    const order = { clock, timestamp, origin: task.origin ?? '' };
    if (compareOrder(this.#order.get(task), order) < 0) this.#order.set(task, order);
    const { parent_id: parent } = task.fields;
    if (typeof parent === 'string' && parent !== uuid) this.#link(parent, task);
  }

  #addWorker(worker: MonitoredWorker): MonitoredWorker {
    this.workers.set(worker.hostname, worker);
    for (const oldest of this.workers.keys()) {
      if (this.workers.size <= this.#maxWorkers) break;
      this.workers.delete(oldest);
    }
    return worker;
  }

  #addTask(uuid: string): MonitoredTask {
    const task = new MonitoredTask(uuid);
    this.tasks.set(uuid, task);
    for (const oldest of this.tasks.values()) {
      if (this.tasks.size <= this.#maxTasks) break;
      this.#forget(oldest);
    }
    return task;
  }

  #link(parent: string, task: MonitoredTask): void {
    const children = this.#children.get(parent);
    if (children === undefined) this.#children.set(parent, new Set([task]));
    else children.add(task);
  }

  #forget(task: MonitoredTask): void {
    this.tasks.delete(task.uuid);
    const { parent_id: parent } = task.fields;
    if (typeof parent !== 'string') return;
    const siblings = this.#children.get(parent);
    siblings?.delete(task);
    if (siblings?.size === 0) this.#children.delete(parent);
  }
}

/** Where an event stands among all: Celery orders by clock, then time, then sender. */
interface EventOrder {
  readonly clock: number;
  readonly timestamp: number;
  readonly origin: string;
}

function compareOrder(one: EventOrder | undefined, other: EventOrder | undefined): number {
  if (one === undefined || other === undefined)
    return (one === undefined ? 0 : 1) - (other === undefined ? 0 : 1);
  if (one.clock !== other.clock) return one.clock - other.clock;
  if (one.timestamp !== other.timestamp) return one.timestamp - other.timestamp;
  return one.origin < other.origin ? -1 : Number(one.origin > other.origin);
}
