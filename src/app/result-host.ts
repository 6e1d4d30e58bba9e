import type { Celery } from './celery.ts';
import type { ResultHost } from './result.ts';

/** What the results of an app reach of it. @param closing the signal of its next `close()` */
export function resultHost(app: Celery, closing: () => AbortSignal): ResultHost {
  return {
    ready: () => app.ready(),
    backendFor: (url) => app.backendFor(url),
    revoke: (id, { terminate = false, signal = 'SIGTERM', wait = false, timeout }) =>
      app.control.broadcast(
        'revoke',
        { task_id: id, terminate, signal },
        { reply: wait, ...(timeout !== undefined && { timeout }) },
      ),
    get closing() {
      return closing();
    },
  };
}
