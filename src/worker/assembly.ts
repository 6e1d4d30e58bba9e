import type { Celery } from '../app/celery.ts';
import { ImproperlyConfigured } from '../core/errors.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { acceptedTypes } from '../message/registry.ts';
import { Autoscaler } from './autoscale.ts';
import { BadMessages } from './bad-messages.ts';
import { Consumer } from './consumer.ts';
import { ControlMailbox } from './consumer/control.ts';
import { WorkerEvents } from './consumer/events.ts';
import { COMMANDS } from './control/commands.ts';
import { Panel } from './control/panel.ts';
import type { WorkerView } from './control/panel.ts';
import { fromUser } from './control/user-commands.ts';
import { Errbacks } from './errbacks.ts';
import { Following } from './following.ts';
import { Holding } from './holding.ts';
import { Prefetch } from './prefetch.ts';
import type { Request } from './request.ts';
import { Results } from './results.ts';
import { Runner } from './runner.ts';
import { Settlement } from './settle.ts';
import { WorkerState } from './state.ts';
import { Strategies } from './strategy.ts';
import { TaskEvents } from './task-events.ts';
import { TaskLog } from './task-log.ts';
import { Workflow } from './workflow.ts';
import type { WorkerOptions } from './options.ts';

/** What the worker's boot and shutdown deal with. */
export interface WorkerParts {
  readonly state: WorkerState;
  readonly consumer: Consumer;
  /** Undefined without `autoscale`. */
  readonly autoscaler: Autoscaler | undefined;
  readonly events: WorkerEvents;
  readonly taskEvents: TaskEvents;
  /** Returns to the broker what has not started. */
  giveBack(): Promise<void>;
}

export interface AssemblyOptions {
  /** Gives up sending what follows a task. */
  readonly sending: AbortSignal;
  readonly onFailed: (error: Error) => void;
  /** Remote control asks for a warm shutdown. */
  readonly onShutdown: () => void;
}

/** Puts the parts of a worker together, bottom up; nothing runs yet. */
export function assemble(app: Celery, options: WorkerOptions, assembly: AssemblyOptions): WorkerParts {
  app.finalizeTasks();
  const { settings } = app;
  const { logger } = options;
  const accept = acceptedTypes(settings.accept_content);
  const state = new WorkerState();
  const prefetch = new Prefetch({
    concurrency: options.autoscale?.max ?? options.pool.size,
    multiplier: options.prefetchMultiplier ?? settings.worker_prefetch_multiplier,
    etaLimit: settings.worker_eta_task_limit,
    slotsOnly: settings.worker_disable_prefetch,
    largest: app.transport().can.largestWindow,
    logger,
  });
  const events = eventsOf(app, options, state);
  const taskEvents = new TaskEvents(events.dispatcher, options.logger);
  const common = { app, options, accept, state, prefetch, events, taskEvents, sending: assembly.sending };
  const { runner, bad } = runnerOf(common);
  const holding = holdingOf(runner, common);
  const receive = (request: Request): void => {
    runner.receive(request, holding);
  };
  const strategies = new Strategies(app.tasks.values(), { accept, state, bad, logger, receive });
  const takeUnstarted = (): Request[] => {
    const unstarted = [...holding.takeAll(), ...runner.takeWaiting()];
    for (const request of unstarted) state.forget(request);
    return unstarted;
  };
  const autoscaler = autoscalerOf(runner, common);
  const consumer = consumerOf({
    ...common,
    ...assembly,
    runner,
    autoscaler,
    holding,
    strategies,
    takeUnstarted,
  });
  const giveBack = async (): Promise<void> => {
    await Promise.all(takeUnstarted().map((request) => request.settle('requeue')));
  };
  return { state, consumer, autoscaler, events, taskEvents, giveBack };
}

function eventsOf(app: Celery, options: WorkerOptions, state: WorkerState): WorkerEvents {
  const { hostname, logger, heartbeatInterval, gossip = false, mingle = false } = options;
  return new WorkerEvents({ app, hostname, state, logger, heartbeatInterval, gossip, mingle });
}

interface Common {
  readonly app: Celery;
  readonly options: WorkerOptions;
  readonly accept: ReadonlySet<string>;
  readonly state: WorkerState;
  readonly prefetch: Prefetch;
  readonly events: WorkerEvents;
  readonly taskEvents: TaskEvents;
  readonly sending: AbortSignal;
}

function runnerOf({ app, options, accept, state, prefetch, taskEvents: events, sending }: Common): {
  readonly runner: Runner;
  readonly bad: BadMessages;
} {
  const { hostname, pool, logger } = options;
  const { settings } = app;
  const log = new TaskLog(logger);
  const results = new Results({
    backendFor: (url) => app.backendFor(url),
    hostname,
    extended: settings.result_extended,
    logger,
  });
  const following = new Following({ app, hostname, signal: sending });
  const errbacks = new Errbacks({ app, pool, hostname, logger });
  const workflow = new Workflow({ app, following, errbacks, results, accept, logger });
  const bad = new BadMessages({ accept, logger, results, workflow, state, events });
  const settlement = new Settlement({
    ...{ results, following, workflow, bad, log, events, logger },
    stopping: state.stopSignal,
  });
  const resultSerializer = settings.result_serializer;
  const parts = {
    hostname,
    pool,
    state,
    results,
    settlement,
    errbacks,
    prefetch,
    log,
    events,
    logger,
    resultSerializer,
  };
  return { runner: new Runner(parts), bad };
}

function holdingOf(runner: Runner, { app, prefetch }: Common): Holding {
  const holding: Holding = new Holding({
    prefetch,
    onDue: (request) => {
      runner.admit(request, holding);
    },
    onToken: (request) => {
      runner.run(request);
    },
  });
  const { settings } = app;
  if (settings.worker_disable_rate_limits) return holding;
  for (const task of app.tasks.values()) {
    const rate = task.options.rateLimit ?? settings.task_default_rate_limit;
    if (rate !== null) limit(holding, task.name, rate);
  }
  return holding;
}

function autoscalerOf(
  runner: Runner,
  { options, state, prefetch }: Pick<Common, 'options' | 'state' | 'prefetch'>,
): Autoscaler | undefined {
  const { autoscale, pool, logger } = options;
  if (autoscale === undefined) return undefined;
  const pump = (): void => runner.pump();
  return new Autoscaler({ ...autoscale, pool, state, prefetch, logger, pump });
}

function limit(holding: Holding, task: string, rate: string | number): void {
  try {
    holding.limit(task, rate);
  } catch (cause) {
    const shown = pythonRepr(rate);
    throw new ImproperlyConfigured(
      `The rate limit of task '${task}' takes a rate such as '10/m', got ${shown}`,
      {
        cause,
      },
    );
  }
}

interface ConsumerSurroundings extends Common, AssemblyOptions {
  readonly runner: Runner;
  readonly autoscaler: Autoscaler | undefined;
  readonly holding: Holding;
  readonly strategies: Strategies;
  readonly takeUnstarted: () => unknown;
}

function consumerOf(parts: ConsumerSurroundings): Consumer {
  const { app, options, state, prefetch, strategies } = parts;
  const { settings } = app;
  const { logger, listener } = options;
  const transport = app.transport();
  const hasMailbox = settings.worker_enable_remote_control && transport.can.fanout;
  const consumer: Consumer = new Consumer({
    transport,
    queues: app.queues.consumeFrom,
    prefetch,
    // A task that blocks this process would hold up what waits for a moment.
    patient: options.pool.takeEscaped === undefined,
    mailbox: hasMailbox ? mailboxOf(parts, () => consumer) : undefined,
    events: parts.events,
    logger,
    retry: settings.broker_connection_retry,
    retryOnStartup: settings.broker_connection_retry_on_startup ?? settings.broker_connection_retry,
    maxRetries: settings.broker_connection_max_retries,
    purge: options.purge ?? false,
    onPurged: (count) => listener?.onPurged?.(count),
    onDelivery: (delivery, session) => {
      strategies.onDelivery(delivery, session);
    },
    onLost: () => {
      state.sessionLost();
      parts.takeUnstarted();
      const isReduced = !state.stopping && settings.worker_enable_prefetch_count_reduction;
      if (isReduced) prefetch.reduce(state.active.size);
    },
    onFailed: parts.onFailed,
  });
  return consumer;
}

function mailboxOf(parts: ConsumerSurroundings, consumer: () => Consumer): ControlMailbox {
  const { app, options, accept, holding, state, prefetch, runner, autoscaler, events, onShutdown } = parts;
  const { hostname, logger, pool } = options;
  const view: WorkerView = {
    ...{ app, hostname, holding, state, pool, prefetch, runner, autoscaler, accept, logger },
    get consumer() {
      return consumer();
    },
    events,
    startedMs: Date.now(),
    shutDown: onShutdown,
  };
  const panel = new Panel([...COMMANDS, ...app.userCommands.map(fromUser)]);
  return new ControlMailbox({ view, panel, clock: app.clock, settings: app.settings, accept, logger });
}
