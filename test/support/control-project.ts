/** Two workers of the same tasks on one broker: ours and Python's. */

/** Tasks of our worker; `BROKER` is replaced. */
export const OUR_TASKS = `
import { Celery } from 'celery-ts';

export const app = new Celery('tasks', { broker: 'BROKER', control_queue_expires: 3 });
app.task('tasks.add', (x, y) => x + y);
app.task('tasks.limited', { rateLimit: '10/m', acksLate: true }, (x) => x);
app.task('tasks.sleep', async (seconds) => {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
});
app.controlCommand('widen', { args: { n: 'int' }, signature: '[N=1]', help: 'Raise the window.' }, (worker, { n = 1 }) => {
  const before = worker.prefetchCount;
  worker.changePrefetch(n);
  return { ok: String(worker.prefetchCount - before) };
});
app.inspectCommand('window', { help: 'Show the window.' }, async (worker) => ({ window: worker.prefetchCount, queues: worker.queues }));
`;

const PYTHON_ADD_AND_LIMITED = `@app.task(name='tasks.add')
def add(x, y):
    return x + y

@app.task(name='tasks.limited', rate_limit='10/m', acks_late=True)
def limited(x):
    return x
`;

/** The same for Python. */
export const PYTHON_TASKS = `
import time
from celery import Celery

app = Celery('tasks', broker='BROKER')

${PYTHON_ADD_AND_LIMITED}
@app.task(name='tasks.sleep')
def sleep(seconds):
    time.sleep(seconds)
`;

/** Sends a list of commands as Python's client does, and prints the list of its answers. */
export const PYTHON_CLIENT = `
import json, sys
from tasks import app
nodes, calls = json.loads(sys.argv[1])
print(json.dumps([
    {node: answer for reply in app.control.broadcast(method, arguments, destination=nodes, reply=True, timeout=20)
     for node, answer in reply.items()}
    for method, arguments in calls
]))
`;

/** Calls Python's own methods of \`app.control.inspect()\` and \`app.control\`, and prints the names of who answered each. */
export const PYTHON_METHODS = `
import json, sys
from tasks import app
node = sys.argv[1]
asked = app.control.inspect([node], timeout=20)
answers = {name: getattr(asked, name)() for name in (
    'ping', 'clock', 'active', 'reserved', 'scheduled', 'revoked', 'registered', 'active_queues', 'stats', 'conf', 'report')}
answers['query_task'] = asked.query_task('none')
answers['hello'] = asked.hello('another@h')
to = {'destination': [node], 'reply': True, 'timeout': 20}
changes = {
    'rate_limit': app.control.rate_limit('tasks.add', '7/m', **to), 'time_limit': app.control.time_limit('tasks.add', 9, 8, **to),
    'add_consumer': app.control.add_consumer('more', **to), 'cancel_consumer': app.control.cancel_consumer('more', **to),
    'pool_grow': app.control.pool_grow(1, **to), 'pool_shrink': app.control.pool_shrink(1, **to),
    'autoscale': app.control.autoscale(3, 1, **to), 'pool_restart': app.control.pool_restart(**to),
    'enable_events': app.control.enable_events(**to), 'disable_events': app.control.disable_events(**to),
    'heartbeat': app.control.heartbeat(**to),
    'revoke': app.control.revoke('unknown', **to), 'terminate': app.control.terminate('unknown', **to),
}
print(json.dumps({**{name: list(found or {}) for name, found in answers.items()},
                  **{name: [list(one)[0] for one in found] for name, found in changes.items()}}))
`;

/** Tasks for both command lines; the environment says where broker and results are. */
export const BOTH_TASKS = `
import { Celery } from 'celery-ts';

export const app = new Celery('tasks', {
  broker: process.env.BROKER, backend: process.env.RESULTS, worker_pool_restarts: true,
});
app.task('tasks.add', (x, y) => x + y);
app.task('tasks.limited', { rateLimit: '10/m', acksLate: true }, (x) => x);
app.task('tasks.fail', (text) => {
  throw new RangeError(text);
});
app.task('tasks.sleep', async (seconds) => {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
});
`;

/** The same for Python. */
export const PYTHON_BOTH_TASKS = `
import os, time
from celery import Celery

app = Celery('tasks', broker=os.environ['BROKER'], backend=os.environ['RESULTS'])
app.conf.worker_pool_restarts = True

${PYTHON_ADD_AND_LIMITED}
@app.task(name='tasks.fail')
def fail(text):
    raise ValueError(text)

@app.task(name='tasks.sleep')
def sleep(seconds):
    time.sleep(seconds)
`;

/** Prints the remote control commands that Python's command line offers. */
export const PANEL = `
import json
from celery.worker.control import Panel
print(json.dumps([f'{meta.type} {name}' for name, meta in Panel.meta.items() if meta.visible]))
`;
