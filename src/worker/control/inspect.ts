import type { ScheduledInfo, TaskWhereabouts } from '../../app/control-replies.ts';
import { toCamelCase } from '../../app/option-names.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import { isoUtc } from '../../core/time.ts';
import type { Request } from '../request.ts';
import type { ControlCommand, WorkerView } from './panel.ts';
import { queueInfo } from './queue-info.ts';
import { isActive, placeOf, requestInfo, requestsIn } from './request-info.ts';

export const ping: ControlCommand = {
  name: 'ping',
  kind: 'inspect',
  help: 'Ask whether the workers answer.',
  run: () => ({ ok: 'pong' }),
};

export const clock: ControlCommand = {
  name: 'clock',
  kind: 'inspect',
  help: 'Show the logical clock.',
  run: ({ app }) => ({ clock: app.clock.value }),
};

/** What a worker that starts asks the others. */
export const hello: ControlCommand = {
  name: 'hello',
  kind: 'inspect',
  help: 'Exchange revoked ids and clocks with a worker that starts.',
  hidden: true,
  required: ['from_node'],
  run({ app, state, hostname, logger }, { from_node: from, revoked: theirs }) {
    if (from === hostname) return null;
    logger.debug(`sync with ${String(from)}`);
    if (typeof theirs === 'object' && theirs !== null) state.mergeRevoked(theirs);
    return { revoked: state.revokedTimes(), clock: app.clock.forward() };
  },
};

export const active: ControlCommand = {
  name: 'active',
  alias: 'dump_active',
  kind: 'inspect',
  help: 'List the tasks that run now.',
  run: (worker, { safe }) =>
    requestsIn(worker, 'active').map((request) => requestInfo(request, worker, safe === true)),
};

export const reserved: ControlCommand = {
  name: 'reserved',
  alias: 'dump_reserved',
  kind: 'inspect',
  help: 'List the tasks that were received and wait for a free process.',
  run: (worker) => requestsIn(worker, 'reserved').map((request) => requestInfo(request, worker)),
};

/** Celery's timer gives all of them this number. */
const SCHEDULE_PRIORITY = 6;

export const scheduled: ControlCommand = {
  name: 'scheduled',
  alias: 'dump_schedule',
  kind: 'inspect',
  help: 'List the tasks that wait for their time or for their rate limit.',
  run(worker): ScheduledInfo[] {
    return requestsIn(worker, 'held').map((request) => ({
      eta: worker.holding.isScheduled(request) ? etaOf(request) : null,
      priority: SCHEDULE_PRIORITY,
      request: requestInfo(request, worker),
    }));
  },
};

/** As the message has it: more exact than what a Date holds. */
function etaOf({ headers, etaMs }: Request): string | null {
  if (headers.eta !== null && /[+-]\d\d:\d\d$/.test(headers.eta)) return headers.eta;
  return etaMs === undefined ? null : isoUtc(etaMs);
}

export const revoked: ControlCommand = {
  name: 'revoked',
  alias: 'dump_revoked',
  kind: 'inspect',
  help: 'List the ids of revoked tasks.',
  run: ({ state }) => [...state.revoked],
};

const DEFAULT_ITEMS = ['exchange', 'routing_key', 'rate_limit'];

export const registered: ControlCommand = {
  name: 'registered',
  alias: 'dump_tasks',
  kind: 'inspect',
  help: 'List the tasks that the worker knows, with attributes such as max_retries.',
  signature: '[attr1 [attr2 [... [attrN]]]]',
  variadic: 'taskinfoitems',
  run(worker, { taskinfoitems, builtins }) {
    const asked = Array.isArray(taskinfoitems) ? taskinfoitems.map(String) : [];
    const items = asked.length > 0 ? asked : DEFAULT_ITEMS;
    const names = [...worker.app.tasks.keys()].filter(
      (name) => builtins === true || !name.startsWith('celery.'),
    );
    return names.sort().map((name) => {
      const shown = items.flatMap((item) => {
        const value = attributeOf(worker, name, item);
        return value === null || value === undefined ? [] : [`${item}=${pythonStr(value)}`];
      });
      return shown.length === 0 ? name : `${name} [${shown.join(' ')}]`;
    });
  },
};

/** An attribute of a task, with what was changed in this worker at run time. */
function attributeOf({ app, state }: WorkerView, task: string, attribute: string): unknown {
  if (attribute === 'name') return task;
  const name = toCamelCase(attribute);
  const changed = state.changedOptions.get(task);
  const options = { ...app.tasks.get(task)?.options, ...changed } as Readonly<Record<string, unknown>>;
  return Object.hasOwn(options, name) ? options[name] : undefined;
}

function pythonStr(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

export const queryTask: ControlCommand = {
  name: 'query_task',
  kind: 'inspect',
  help: 'Show the tasks with these ids, where the worker has them in hand.',
  signature: '[id1 [id2 [... [idN]]]]',
  variadic: 'ids',
  required: ['ids'],
  run(worker, { ids }) {
    const wanted = new Set((Array.isArray(ids) ? ids : [ids]).map(String));
    // Those that wait for their time are left to `scheduled`, as in Celery.
    const found = [...worker.state.reserved].filter(
      (request) => wanted.has(request.id) && placeOf(worker, request) !== 'held',
    );
    return Object.fromEntries(
      found.map((request): [string, TaskWhereabouts] => [
        request.id,
        [isActive(worker, request) ? 'active' : 'reserved', requestInfo(request, worker)],
      ]),
    );
  },
};

export const activeQueues: ControlCommand = {
  name: 'active_queues',
  kind: 'inspect',
  strict: true,
  help: 'List the queues that the worker consumes.',
  run: ({ consumer, app }) =>
    consumer.queues.map((queue) => queueInfo(queue, app.queues.aliasOf(queue.name))),
};
