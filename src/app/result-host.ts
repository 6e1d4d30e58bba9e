import { isResultTuple } from '../message/result-tuple.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { Celery } from './celery.ts';
import { GroupResult } from './group-result.ts';
import { AsyncResult } from './result.ts';
import type { AnyResult, ResultHost } from './result-options.ts';

/** What the results of an app reach of it. @param closing the signal of its next `close()` */
export function resultHost(app: Celery, closing: () => AbortSignal): ResultHost {
  const host: ResultHost = {
    ready: () => app.ready(),
    backendFor: (url) => app.backendFor(url),
    revoke: (ids, { terminate = false, signal = 'SIGTERM', wait = false, timeout }) =>
      app.control.broadcast(
        'revoke',
        { task_id: ids, terminate, signal },
        { reply: wait, ...(timeout !== undefined && { timeout }) },
      ),
    fromTuple: (tuple) => fromTuple(host, tuple),
    get closing() {
      return closing();
    },
  };
  return host;
}

function fromTuple(host: ResultHost, [[id, before], members]: ResultTuple): AnyResult {
  const parent = isResultTuple(before) ? fromTuple(host, before) : null;
  if (members === null) return new AsyncResult(host, id, { parent });
  return new GroupResult(
    host,
    id,
    members.map((member) => fromTuple(host, member)),
    parent,
  );
}
