import { expect } from 'vitest';

/** What is called, the program of the Python client (see `test/fixtures/interop/session.py`), what it returns. */
export type Case = readonly [name: string, program: string, expected: unknown];

const raises = (type: string, module: string, ...args: unknown[]) => ({ raises: type, module, args });
const text = (pattern: RegExp): unknown => expect.stringMatching(pattern);

/** Python expression, as our worker sees it, and what comes back. */
const VALUES: readonly (readonly [python: string, seen: string])[] = [
  ['None', 'null'],
  ['[True, False]', '[true, false]'],
  ['[0, -1, 2**53 - 1, -2**53 + 1]', '[0, -1, 9007199254740991, -9007199254740991]'],
  ['2**53 + 1', '9007199254740993n'],
  ['-2**63', '-9223372036854775808n'],
  ['[0.1, 1e300, -2.5, 5e-324]', '[0.1, 1e+300, -2.5, 5e-324]'],
  ['[float("inf"), float("-inf")]', '[Infinity, -Infinity]'],
  ['["", "ø 🎉 \\u2028 \\x00 \\"", "𝒳"]', `["", "ø 🎉 \u2028 \\u0000 \\"", "𝒳"]`],
  ['{"": [], "a": {"b": [1, {"c": None}]}}', '{: [], a: {b: [1, {c: null}]}}'],
  ['{"__proto__": 1, "constructor": 2}', '{__proto__: 1, constructor: 2}'],
];

const values: Case[] = ['json', 'msgpack', 'yaml'].flatMap((serializer): Case[] => {
  const call = (task: string, value: string): string =>
    `app.send_task('${task}', [${value}], serializer='${serializer}').get(timeout=T)`;
  return [
    [
      `${serializer}: our worker sees what Python sent`,
      `return [${VALUES.map(([python]) => call('ts.kind', python)).join(', ')}]`,
      VALUES.map(([, seen]) => seen),
    ],
    [
      `${serializer}: and gives it back`,
      `sent = [${VALUES.map(([python]) => python).join(', ')}]
return [${call('ts.echo', 'sent')} == sent, repr(${call('ts.echo', 'float("nan")')})]`,
      [true, 'nan'],
    ],
  ];
});

const kinds = (serializer: string, ...programs: string[]): string =>
  `return [app.send_task('ts.kind', [v], serializer='${serializer}').get(timeout=T) for v in [${programs.join(', ')}]]`;
const WHEN = 'datetime.datetime(2030, 1, 2, 3, 4, 5, 678000';

const typed: Case[] = [
  ['json: an integer of 100 bits', `run('ts.kind', 2**100)`, '1267650600228229401496703205376n'],
  [
    'json: datetime, date, decimal and UUID are texts',
    kinds('json', `${WHEN})`, 'datetime.date(2030, 1, 2)', 'decimal.Decimal("1.50")', 'uuid.UUID(int=5)'),
    [
      text(/^"2030-01-02T03:04:05.678(000)?"$/),
      text(/^"2030-01-02/),
      '"1.50"',
      '"00000000-0000-0000-0000-000000000005"',
    ],
  ],
  [
    'json: extras of a newer kombu',
    kinds('json', `{'__type__': 'datetime', '__value__': '2030-01-02T03:04:05+02:00'}`),
    ['Date 2030-01-02T01:04:05.000Z'],
  ],
  ['msgpack: bytes', kinds('msgpack', `b'\\xff\\x00'`), ['Buffer ff00']],
  [
    'yaml: bytes and datetimes',
    kinds('yaml', `b'\\xff\\x00'`, `${WHEN}, tzinfo=datetime.timezone.utc)`),
    ['Buffer ff00', 'Date 2030-01-02T03:04:05.678Z'],
  ],
  [
    'results: numbers',
    `[repr(run('ts.give', what)) for what in ('nan', 'big', 'float', 'nothing')]`,
    ['nan', '9007199254740993', '1e+300', 'None'],
  ],
  ...['gzip', 'bzip2'].map((name): Case => [
    `compressed: ${name}`,
    `app.send_task('ts.echo', ['x' * 10000], compression='${name}').get(timeout=T) == 'x' * 10000`,
    true,
  ]),
];

const args: Case[] = [
  ['positional', `run('ts.add', 1, 2)`, 3],
  ['by name', `run('ts.add', x=1, y=2)`, 3],
  ['by name in another order, one positional', `[run('ts.add', y=5, x=1), run('ts.add', 1, y=2)]`, [6, 3]],
  ['a default', `[run('ts.add', 1), run('ts.add', x=2)]`, [11, 12]],
  ['an object that the task destructures', `run('ts.area', width=2, height=3)`, 6],
  ['rest', `run('ts.rest', 1, 2, 3)`, [1, [2, 3]]],
  [
    'missing',
    `attempt(send('ts.add'))`,
    raises('TypeError', 'builtins', text(/missing 1 required positional argument: 'x'/)),
  ],
  [
    'too many',
    `attempt(send('ts.add', 1, 2, 3))`,
    raises('TypeError', 'builtins', text(/takes .*positional arguments but 3 were given/)),
  ],
  [
    'unknown name',
    `attempt(send('ts.add', 1, z=3))`,
    raises('TypeError', 'builtins', text(/unexpected keyword argument 'z'/)),
  ],
  [
    'twice the same',
    `attempt(send('ts.add', 1, x=3))`,
    raises('TypeError', 'builtins', text(/multiple values for argument 'x'/)),
  ],
  [
    'protocol 1',
    `
old = make_app(task_protocol=1)
return [old.send_task('ts.add', [1], {'y': 4}).get(timeout=T), attempt(old.send_task('ts.fail', ['ValueError', 'old']))]`,
    [5, raises('ValueError', 'builtins', 'old')],
  ],
];

const errors: Case[] = [
  ...[
    'TypeError',
    'ValueError',
    'KeyError',
    'RuntimeError',
    'ZeroDivisionError',
    'FileNotFoundError',
    'TimeoutError',
  ].map((name): Case => [
    `a real ${name}`,
    `attempt(send('ts.fail', '${name}', 'why ø'))`,
    raises(name, 'builtins', 'why ø'),
  ]),
  [
    'several arguments',
    `attempt(send('ts.fail_with', 'ValueError', 'boom', 1))`,
    raises('ValueError', 'builtins', 'boom', 1),
  ],
  [
    'an error of JavaScript',
    `attempt(send('ts.fail', 'RangeError', 'far'))`,
    raises('RangeError', 'celery.backends.base', 'far'),
  ],
  [
    'a class of the user',
    `attempt(send('ts.fail', 'Custom', 'mine'))`,
    raises('Custom', 'celery.backends.base', 'mine'),
  ],
  [
    'caught as what it is',
    `
try:
    run('ts.fail', 'KeyError', 'k')
except KeyError as exc:
    return str(exc)`,
    "'k'",
  ],
  [
    'state, traceback and cause',
    `
r = send('ts.caused')
attempt(r)
return [r.state, r.failed(), r.traceback.splitlines()[0], 'ts_tasks.ts' in r.traceback, 'Caused by: TypeError: inner' in r.traceback]`,
    ['FAILURE', true, 'Error: outer', true, true],
  ],
  [
    'an unknown task',
    `attempt(send('ts.unknown'))`,
    raises('NotRegistered', 'celery.exceptions', text(/ts\.unknown/)),
  ],
];

const lives: Case[] = [
  ['retries', `run('ts.flaky', 2)`, 2],
  [
    'the state RETRY and its error',
    // Later, so that the client is waiting when the first state arrives: of one that has come before it tells nothing.
    `states(app.send_task('ts.flaky', [1], countdown=0.5))`,
    [
      ['RETRY', raises('TypeError', 'builtins', 'not yet')],
      ['SUCCESS', 1],
    ],
  ],
  [
    'retries used up, with an error',
    `attempt(send('ts.hopeless'))`,
    raises('TypeError', 'builtins', 'never'),
  ],
  [
    'retries used up, without',
    `attempt(send('ts.hopeless', False))`,
    raises('MaxRetriesExceededError', 'celery.exceptions', text(/^Can't retry ts\.hopeless\[/)),
  ],
  [
    'countdown and eta',
    `
begin = time.monotonic()
later = app.send_task('ts.request', countdown=0.6)
eta = app.send_task('ts.request', eta=datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5))) + datetime.timedelta(seconds=0.6))
early = run('ts.echo', 1)
waited = [later.ready(), later.get(timeout=T)['eta'], eta.get(timeout=T)['eta']]
return [*waited, 0.5 < time.monotonic() - begin < 5]`,
    [false, true, true, true],
  ],
  [
    'expired',
    `
r = app.send_task('ts.note', ['late'], countdown=0.5, expires=0.2)
return [attempt(r), r.state]`,
    [raises('TaskRevokedError', 'celery.exceptions', 'expired'), 'REVOKED'],
  ],
  [
    'revoked before it runs',
    `
r = app.send_task('ts.note', ['revoked'], countdown=1)
until(lambda: r.id in str(app.control.inspect(['ts@interop']).scheduled()))
app.control.revoke(r.id, reply=True, timeout=5, destination=['ts@interop'])
return [attempt(r), r.state]`,
    [raises('TaskRevokedError', 'celery.exceptions', 'revoked'), 'REVOKED'],
  ],
  [
    'terminated while it runs',
    `
r = send('ts.sleep', 20)
until(lambda: r.id in str(app.control.inspect(['ts@interop']).active()))
app.control.revoke(r.id, terminate=True)
return [attempt(r), r.state]`,
    [raises('TaskRevokedError', 'celery.exceptions', 'terminated'), 'REVOKED'],
  ],
  [
    'ignore_result',
    `
app.send_task('ts.ignored', ['task'])
r = app.send_task('ts.note', ['call'], ignore_result=True)
until(lambda: 'ts.ignored' in open(os.environ['NOTES']).read() and '"call"' in open(os.environ['NOTES']).read())
time.sleep(0.1)
return [r.state, app.AsyncResult(r.id).result]`,
    ['PENDING', null],
  ],
  [
    'STARTED',
    `states(app.send_task('ts.tracked', [0.1], countdown=0.5))`,
    [
      ['STARTED', { hostname: 'ts@interop', pid: expect.any(Number) as unknown }],
      ['SUCCESS', 'over'],
    ],
  ],
  [
    'a state of its own',
    `states(app.send_task('ts.progress', countdown=0.5))`,
    [
      ['PROGRESS', { done: 1 }],
      ['SUCCESS', 'complete'],
    ],
  ],
  [
    'time limits',
    `
hard, soft = app.send_task('ts.sleep', [20], time_limit=0.5), app.send_task('ts.soft', soft_time_limit=0.3)
return [attempt(soft), attempt(hard)]`,
    ['told', raises('TimeLimitExceeded', 'billiard.exceptions', 0.5)],
  ],
  [
    'what a running task knows of its call',
    `
r = app.send_task('ts.request', headers={'mine': 'yes'}, shadow='other', time_limit=9, soft_time_limit=8, priority=3)
got = r.get(timeout=T)
return [got.pop('id') == r.id, got.pop('root_id') == r.id, got]`,
    [
      true,
      true,
      {
        parent_id: null,
        headers: 'yes',
        shadow: 'other',
        timelimit: [9, 8],
        retries: 0,
        priority: 3,
        queue: 'typescript',
        eta: false,
        argsrepr: '()',
      },
    ],
  ],
  [
    'rate limits',
    `
results = [send('ts.limited') for _ in range(6)]
times = sorted(r.get(timeout=T) for r in results)
return times[-1] - times[0] > 0.03`,
    true,
  ],
  // Joined: over rpc:// Python's own get() takes a second for each result that has come already.
  [
    'batches',
    `ResultSet([send('ts.add', i, i) for i in range(50)]).join_native(timeout=T) == [2 * i for i in range(50)]`,
    true,
  ],
  [
    'a group that Python makes',
    `group(sig('ts.add', 1, 1), sig('py.add', 2, 2)).apply_async().get(timeout=T)`,
    [2, 4],
  ],
];

const BROKEN = raises('ValueError', 'builtins', 'broken');

const canvas: Case[] = [
  [
    'a chain through both languages, our step first',
    `chain(sig('ts.add', 1, 2), sig('py.add', 3), sig('ts.add', 4), sig('py.add', 5)).apply_async().get(timeout=T)`,
    15,
  ],
  [
    'Python’s step first, keyword arguments and a default',
    `chain(sig('py.add', 1, y=2), sig('ts.add', y=3), sig('py.add'), sig('ts.add')).apply_async().get(timeout=T)`,
    26,
  ],
  [
    'an immutable step',
    `chain(sig('ts.add', 1, 2), app.signature('ts.add', args=(5, 6), immutable=True), sig('py.add', 1)).apply_async().get(timeout=T)`,
    12,
  ],
  [
    'options of a step',
    `chain(sig('ts.add', 1, 2), sig('ts.add', 1).set(countdown=0.3), sig('py.add', 1)).apply_async().get(timeout=T)`,
    5,
  ],
  [
    'ids of a chain',
    `
last = chain(sig('ts.request').set(task_id=str(uuid.uuid4())), app.signature('py.request', immutable=True), app.signature('ts.request', immutable=True)).apply_async()
last.get(timeout=T)
a, b, c = [r.get(timeout=T) for r in (last.parent.parent, last.parent, last)]
return [a['root_id'] == b['root_id'] == c['root_id'] == a['id'], a['parent_id'], b['parent_id'] == a['id'], c['parent_id'] == b['id']]`,
    [true, null, true, true],
  ],
  [
    'the results in between, and the children',
    `
last = chain(sig('ts.add', 1, 2), sig('py.add', 3), sig('ts.add', 4)).apply_async()
last.get(timeout=T)
first = last.parent.parent
return [first.get(timeout=T), last.parent.get(timeout=T), [c.id for c in first.children] == [last.parent.id], [c.id for c in last.parent.children] == [last.id]]`,
    [3, 6, true, true],
  ],
  [
    'a chain whose TypeScript step fails: the last knows',
    `
last = chain(app.signature('ts.fail', args=('ValueError', 'broken'), immutable=True), sig('py.note', 'never'), sig('ts.note', 'never')).apply_async()
outcome = attempt(last)
between = raised(last.parent.get(timeout=T, propagate=False))
return [outcome, between, raised(last.get(timeout=T, propagate=False)), 'ts_tasks.ts' in last.traceback]`,
    [BROKEN, BROKEN, BROKEN, true],
  ],
  [
    'a chain whose Python step fails',
    `
last = chain(app.signature('py.fail', args=('ValueError', 'broken'), immutable=True), sig('ts.note', 'never')).apply_async()
return attempt(last)`,
    raises('ValueError', 'builtins', 'broken'),
  ],
  [
    'a retry keeps the rest of its chain',
    `chain(sig('ts.flaky', 2), sig('py.add', 1), sig('ts.add', 1)).apply_async().get(timeout=T)`,
    4,
  ],
];

const callbacks: Case[] = [
  [
    'link: Python’s task and ours after ours, ours after Python’s',
    `
app.send_task('ts.add', [1, 2], link=[sig('py.note', 'linked'), sig('ts.note', 'linked')])
app.send_task('py.add', [3, 4], link=sig('ts.note', 'linked'))
return noted(['py.note', [3, 'linked']], ['ts.note', [3, 'linked']], ['ts.note', [7, 'linked']])`,
    true,
  ],
  [
    'link: callbacks of callbacks, from worker to worker',
    `
steps = [sig('ts.add', 1, 2), sig('py.add', 10), sig('ts.add', 100), sig('py.add', 1000), sig('ts.note', 'nested')]
for before, after in zip(steps, steps[1:]):
    before.link(after)
steps[0].apply_async()
return noted(['ts.note', [1113, 'nested']])`,
    true,
  ],
  [
    'link: a chain after ours, and after Python’s',
    `
app.send_task('ts.add', [1, 2], link=chain(sig('py.add', 10), sig('ts.note', 'chained')))
app.send_task('py.add', [1, 2], link=chain(sig('ts.add', 100), sig('py.note', 'chained')))
return noted(['ts.note', [13, 'chained']], ['py.note', [103, 'chained']])`,
    true,
  ],
  [
    'link: an immutable one, and keyword arguments',
    `
app.send_task('ts.add', [1, 2], link=[app.signature('py.note', args=('alone',), kwargs={'text': 'named'}, immutable=True),
                                      app.signature('ts.note', kwargs={'text': 'named'})])
return noted(['py.note', ['alone', 'named']], ['ts.note', [3, 'named']])`,
    true,
  ],
  [
    'link: after a retry, once',
    `
app.send_task('ts.flaky', [2], link=sig('py.note', 'after a retry'))
noted(['py.note', [2, 'after a retry']])
return open(os.environ['NOTES']).read().count('after a retry')`,
    1,
  ],
  [
    'link_error: Python’s task and ours after ours, ours after Python’s',
    `
first = app.send_task('ts.fail', ['ValueError', 'x'], link_error=[sig('py.note', 'failed'), sig('ts.note', 'failed')])
second = app.send_task('py.fail', ['ValueError'], link_error=sig('ts.note', 'failed'))
return noted(['py.note', [first.id, 'failed']], ['ts.note', [first.id, 'failed']], ['ts.note', [second.id, 'failed']])`,
    true,
  ],
  [
    'link_error that takes the request, the exception and the traceback: ours after ours, Python’s after Python’s',
    `
first = app.send_task('ts.fail', ['ValueError', 'x'], link_error=sig('ts.alarm', 'a'))
second = app.send_task('py.fail', ['ValueError', 'y'], link_error=sig('py.alarm', 'b'))
return noted(['ts.alarm', [first.id, 'ts.fail', 'ValueError', 'x', True, 'a']],
             ['py.alarm', [second.id, 'py.fail', 'ValueError', 'y', True, 'b']])`,
    true,
  ],
  [
    'link_error of a callback: after ours Python’s fails, and ours is told',
    `
failing = app.signature('py.fail', args=('ValueError', 'late'), immutable=True).set(task_id=str(uuid.uuid4()))
failing.link_error(sig('ts.note', 'told'))
app.send_task('ts.add', [1, 2], link=failing)
return noted(['ts.note', [failing.options['task_id'], 'told']])`,
    true,
  ],
  [
    'on_error of a chain: the step that fails is ours, or Python’s',
    `
def ids(failing):
    steps = chain(sig('py.add', 1, 2), failing.set(task_id=str(uuid.uuid4())), sig('ts.note', 'never'), sig('py.note', 'never'))
    steps.on_error(sig('py.note' if failing.task == 'ts.fail' else 'ts.note', 'chain failed'))
    steps.apply_async()
    return failing.options['task_id']
ours, theirs = [ids(app.signature(f'{side}.fail', args=('ValueError', 'x'), immutable=True)) for side in ('ts', 'py')]
noted(['py.note', [ours, 'chain failed']], ['ts.note', [theirs, 'chain failed']])
return open(os.environ['NOTES']).read().count('never')`,
    0,
  ],
];

/** All of a Python client and our worker. */
export const PYTHON_CLIENT: readonly (readonly [group: string, cases: readonly Case[]])[] = [
  ['values', [...values, ...typed]],
  ['arguments', args],
  ['errors', errors],
  ['lives of tasks', lives],
  ['canvas', canvas],
  ['callbacks', callbacks],
];
