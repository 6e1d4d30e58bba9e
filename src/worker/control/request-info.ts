import type { RequestInfo } from '../../app/control-replies.ts';
import { CeleryError } from '../../core/errors.ts';
import { decodeTaskBody } from '../../message/protocol2.ts';
import { DEFAULT_LIMITS } from '../../message/registry.ts';
import type { Request } from '../request.ts';
import type { WorkerView } from './panel.ts';

/** Where a task of `inspect` stands: running, waiting for a process, or held for its time or its rate limit. */
export type Place = 'active' | 'reserved' | 'held';

export function isActive({ state }: Pick<WorkerView, 'state'>, request: Request): boolean {
  return state.active.get(request.id) === request;
}

export function placeOf(worker: Pick<WorkerView, 'state' | 'holding'>, request: Request): Place {
  if (isActive(worker, request)) return 'active';
  return worker.holding.has(request) ? 'held' : 'reserved';
}

/** The tasks in one place, in order of arrival. */
export function requestsIn(worker: Pick<WorkerView, 'state' | 'holding'>, place: Place): Request[] {
  return [...worker.state.reserved].filter((request) => placeOf(worker, request) === place);
}

/** @param safe argument texts of the message instead of the values */
export function requestInfo(
  request: Request,
  { hostname, accept }: Pick<WorkerView, 'hostname' | 'accept'>,
  safe = false,
): RequestInfo {
  const { headers, delivery, envelope, process } = request;
  const { args, kwargs } = safe ? reprs(request) : argumentsOf(request, accept);
  return {
    id: headers.id,
    name: headers.shadow ?? headers.task,
    args,
    kwargs,
    type: headers.task,
    hostname,
    time_start: request.startedMs === undefined ? null : request.startedMs / 1000,
    acknowledged: !request.unsettled,
    delivery_info: {
      exchange: delivery.exchange,
      routing_key: delivery.routingKey,
      priority: envelope.properties.priority ?? null,
      redelivered: delivery.redelivered,
    },
    worker_pid: process?.pid ?? null,
  };
}

function argumentsOf(request: Request, accept: ReadonlySet<string>): { args: unknown; kwargs: unknown } {
  try {
    return decodeTaskBody(request.envelope, accept, DEFAULT_LIMITS);
  } catch (error) {
    // The process that runs it will say so; here the texts of the message tell as much.
    if (error instanceof CeleryError) return reprs(request);
    throw error;
  }
}

function reprs({ headers }: Request): { args: unknown; kwargs: unknown } {
  return { args: headers.argsrepr, kwargs: headers.kwargsrepr };
}
