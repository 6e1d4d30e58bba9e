import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../../src/cli/main.ts';

let out = '';
let err = '';

beforeEach(() => {
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const COMMANDS = [
  'worker',
  'call',
  'result',
  'control',
  'inspect',
  'status',
  'events',
  'multi',
  'purge',
  'list',
  'amqp',
  'migrate',
  'graph',
  'report',
  'shell',
  'logtool',
  'upgrade',
  'completion',
  'config',
];

// Celery's own texts of `control nosuch` and `inspect nosuch`, console/v5.6.2.
const CONTROL_COMMANDS =
  'add_consumer, autoscale, cancel_consumer, disable_events, election, ' +
  'enable_events, heartbeat, pool_grow, pool_restart, ' +
  'pool_shrink, rate_limit, revoke, revoke_by_stamped_headers, shutdown, terminate, time_limit';
const INSPECT_COMMANDS =
  'active, active_queues, clock, conf, memdump, memsample, objgraph, ping, query_task, registered, report, ' +
  'reserved, revoked, scheduled, stats';

describe('help', () => {
  it('is printed without a command, and lists what there is', async () => {
    expect(await run([], {})).toBe(0);
    expect(out).toMatch(/^Usage: celery-ts \[OPTIONS\] COMMAND \[ARGS\]\.\.\.\n/);
    expect([...out.matchAll(/^ {2}(\w+) {3}/gm)].map(([, name]) => name)).toEqual(COMMANDS);
    expect(err).toBe('');
  });

  it.each([...COMMANDS.map((name) => [name]), ['config', 'check']])(
    'is there for %s %s',
    async (...words) => {
      expect(await run([...words.filter(Boolean), '--help'], {})).toBe(0);
      expect(out).toContain(`Usage: celery-ts ${words.filter(Boolean).join(' ')} `);
      expect(out).toContain('--help');
    },
  );

  it('prints the version', async () => {
    expect(await run(['--version'], {})).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    ['control', 'Control Commands:', CONTROL_COMMANDS],
    ['inspect', 'Inspect Commands:', INSPECT_COMMANDS],
  ])('%s --list lists its commands', async (kind, title, commands) => {
    expect(await run([kind, '--list'], {})).toBe(0);
    expect(out.startsWith(`${title}\n`)).toBe(true);
    expect([...out.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name).join(', ')).toBe(commands);
    expect(out).toMatch(/^ {2}(pool_grow \[N=1\]|ping) +\w.*\.$/m);
  });
});

const usage = (path: string, rest: string, error: string) =>
  `Usage: celery-ts${path} ${rest}\nTry 'celery-ts${path} --help' for help.\n\nError: ${error}\n`;
const ROOT = 'COMMAND [ARGS]...';
const WORKER = '[OPTIONS] [SETTING=VALUE]...';
const REMOTE = '[OPTIONS] COMMAND [ARGS]...';
const LEVELS = "'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'FATAL'";

describe('wrong use ends with 2 and says', () => {
  it.each([
    [['nosuchcmd'], usage('', `[OPTIONS] ${ROOT}`, "No such command 'nosuchcmd'.")],
    [['wroker'], usage('', `[OPTIONS] ${ROOT}`, "No such command 'wroker'. Did you mean 'worker'?")],
    [['config', 'chekc'], usage(' config', 'COMMAND', "No such command 'chekc'. Did you mean 'check'?")],
    [['--nosuch'], usage('', `[OPTIONS] ${ROOT}`, 'No such option: --nosuch')],
    [['worker', '--nosuchoption'], usage(' worker', WORKER, 'No such option: --nosuchoption')],
    [
      ['worker', '--concurency=2'],
      usage(' worker', WORKER, 'No such option: --concurency. Did you mean --concurrency?'),
    ],
    [
      ['worker', '-l', 'NOISY'],
      usage(' worker', WORKER, `Invalid value for '-l' / '--loglevel': 'NOISY' is not one of ${LEVELS}.`),
    ],
    [
      ['worker', '-c', 'two'],
      usage(' worker', WORKER, "Invalid value for '-c' / '--concurrency': 'two' is not a valid integer."),
    ],
    [
      ['worker', '-c', '0'],
      usage(' worker', WORKER, "Invalid value for '-c' / '--concurrency': 0 is not 1 or more."),
    ],
    [['worker', '-c'], usage(' worker', WORKER, "Option '-c' / '--concurrency' requires an argument.")],
    [
      ['worker', '--time-limit', 'x'],
      usage(' worker', WORKER, "Invalid value for '--time-limit': 'x' is not a valid float."),
    ],
    [
      ['worker', '-P', 'threads'],
      usage(
        ' worker',
        WORKER,
        "Invalid value for '-P' / '--pool': 'threads' is a pool that celery-ts does not have; there are 'prefork' (also called 'processes'), 'async' (also called 'gevent' and 'eventlet') and 'solo'.",
      ),
    ],
    [
      ['worker', '-P', 'nosuchpool'],
      usage(
        ' worker',
        WORKER,
        "Invalid value for '-P' / '--pool': 'nosuchpool' is no pool; there are 'prefork' (also called 'processes'), 'async' (also called 'gevent' and 'eventlet') and 'solo'.",
      ),
    ],
    [
      ['worker', 'stray'],
      usage(
        ' worker',
        WORKER,
        'Got unexpected extra argument (stray): it is no setting of the form name=value.',
      ),
    ],
    [
      ['worker', '-n', 'x%z'],
      usage(
        ' worker',
        WORKER,
        "Invalid value for '-n' / '--hostname': Unknown format %z in string 'celery@x%z'. It may hold %h, %n, %d, %i, %I.",
      ),
    ],
    [['call'], usage(' call', '[OPTIONS] NAME', "Missing argument 'NAME'.")],
    [['call', 'a', 'b'], usage(' call', '[OPTIONS] NAME', 'Got unexpected extra argument (b)')],
    [
      ['call', 'a', '-a', '{"a":1}'],
      usage(' call', '[OPTIONS] NAME', `Invalid value for '-a' / '--args': {"a":1} was not an array`),
    ],
    [
      ['call', 'a', '-k', '[1]'],
      usage(' call', '[OPTIONS] NAME', "Invalid value for '-k' / '--kwargs': [1] was not an object"),
    ],
    [
      ['call', 'a', '--eta', 'noon'],
      usage(' call', '[OPTIONS] NAME', "Invalid value for '--eta': 'noon' is not an ISO-8601 time."),
    ],
    [
      ['call', 'a', '--expires', 'noon'],
      usage(' call', '[OPTIONS] NAME', "Invalid value for '--expires': 'noon' is not an ISO-8601 time."),
    ],
    [['status', 'x'], usage(' status', '[OPTIONS]', 'Got unexpected extra argument (x)')],
    [['control'], usage(' control', REMOTE, "Missing argument 'COMMAND'.")],
    [
      ['control', 'nosuch'],
      usage(
        ' control',
        REMOTE,
        `Command nosuch not recognized. Available control commands: ${CONTROL_COMMANDS}`,
      ),
    ],
    [
      ['control', 'stats'],
      usage(
        ' control',
        REMOTE,
        `Command stats not recognized. Available control commands: ${CONTROL_COMMANDS}. Did you mean 'inspect stats'?`,
      ),
    ],
    [
      ['control', 'pool_grwo'],
      usage(
        ' control',
        REMOTE,
        `Command pool_grwo not recognized. Available control commands: ${CONTROL_COMMANDS}. Did you mean 'pool_grow'?`,
      ),
    ],
    [
      ['control', 'pool_grow', 'many'],
      usage(' control', REMOTE, "Invalid value for 'n': 'many' is not a valid integer."),
    ],
    [
      ['inspect', 'conf', 'perhaps'],
      usage(' inspect', REMOTE, "Invalid value for 'with_defaults': 'perhaps' is not yes or no."),
    ],
    [['inspect', 'ping', 'x'], usage(' inspect', REMOTE, "Command 'ping' takes arguments: none")],
    [
      ['--workdir', '/no/such/folder', 'report'],
      usage(
        ' report',
        '[OPTIONS]',
        "Invalid value for '--workdir': Directory '/no/such/folder' does not exist.",
      ),
    ],
  ] as const)('%j', async (argv, text) => {
    expect(await run(argv, {})).toBe(2);
    expect(err).toBe(text);
    expect(out).toBe('');
  });

  it.each([
    ['worker', '-B'],
    ['worker', '--beat', '-c', '2'],
    ['worker', '-s', 'x'],
    ['worker', '--schedule', 'x'],
    ['worker', '--schedule-filename=x'],
    ['worker', '--scheduler', 'x'],
    ['beat'],
    ['beat', '-s', 'x', '--max-interval=3', '--detach'],
  ])('that there is no beat, and what to do: %s %s', async (...argv) => {
    expect(await run(argv, {})).toBe(2);
    expect(err).toMatch(/^Error: .*no scheduler of periodic tasks yet.*`celery beat`/m);
    expect(err).not.toContain('No such option');
  });

  it('starts with the reason when the JSON of call is none', async () => {
    expect(await run(['call', 'a', '-a', 'not json'], {})).toBe(2);
    expect(err).toMatch(/\n\nError: Invalid value for '-a' \/ '--args': .+\n$/);
  });

  it.each(['-A', '--app', '-b', '--workdir', '-q', '-C'])('where %s belongs', async (flag) => {
    expect(await run(['worker', flag, 'x'], {})).toBe(2);
    expect(err).toContain(`${flag} is a global option: it stands before the command.\n`);
    expect(err).toContain(`\nError: No such option: ${flag}\n`);
  });

  it.each([
    [{ CELERY_WORKER_CONCURRENCY: 'x' }, ['worker'], 'CELERY_WORKER_CONCURRENCY (-c, --concurrency <n>)'],
    [{ CELERY_WORKER_LOGLEVEL: 'loud' }, ['worker'], 'CELERY_WORKER_LOGLEVEL (-l, --loglevel <level>)'],
    [{ CELERY_STATUS_TIMEOUT: 'x' }, ['status'], 'CELERY_STATUS_TIMEOUT (-t, --timeout <seconds>)'],
  ])('which variable is wrong: %j', async (env, argv, what) => {
    expect(await run(argv, env)).toBe(2);
    expect(err).toContain(`Error: Invalid value for ${what}: `);
  });
});
