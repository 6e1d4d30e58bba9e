import { afterAll, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';

const made = createProject({
  'tasks.ts': `
import { Celery } from 'celery-ts';
export const app = new Celery('ext', { broker: 'memory://' });
app.cliOption('worker', '-t, --tenant <name>', 'whose tasks to run', (name) => ({ task_default_queue: 'of-' + name }));
app.cliOption('all', '--slow', 'take it easy', (value, app) => { console.log('slow', value, app.main); });
app.cliCommand('replay <queue> [limit]', { description: 'Send it again.', options: { '--dry-run': 'only say it' } },
  ({ app, args, options, signal }) => {
    console.log(app.main, JSON.stringify(args), JSON.stringify(options), signal.aborted);
    return args[1] === undefined ? undefined : Number(args[1]);
  });
app.cliCommand('wait', { description: 'Wait for Ctrl-C.' }, ({ signal }) => new Promise((resolve, reject) => {
  signal.addEventListener('abort', () => reject(signal.reason));
  setTimeout(resolve, 60_000);
  process.kill(process.pid, 'SIGINT');
}));
`,
});

afterAll(() => made.remove());

const cli = (...args: readonly string[]) => runCli(['-A', 'tasks', ...args], { cwd: made.folder });

it.each([
  [['replay', 'q', '--dry-run'], 0, 'ext ["q"] {"dryRun":true} false\n', ''],
  [['replay', 'q', '3'], 3, 'ext ["q","3"] {} false\n', ''],
  [['wait'], 1, '', 'Aborted!\n'],
  [['replay'], 2, '', "Error: Missing argument 'QUEUE'.\n"],
  [['repaly', 'q'], 2, '', "Error: No such command 'repaly'. Did you mean 'replay'?\n"],
  [['worker', '--tenat', 'x'], 2, '', 'Error: No such option: --tenat. Did you mean --tenant?\n'],
  [['--slow', 'config', 'check'], 0, 'slow true ext\nOK\n', ''],
] as const)('%j', async (args, code, stdout, stderr) => {
  const result = await cli(...args);
  expect(result).toMatchObject({ code, stdout });
  expect(result.stderr.endsWith(stderr)).toBe(true);
});

it.each([
  ['[app.main, typeof chain, celery === app].join()', 0, 'ext,function,true\n'],
  [
    'const { promise, total } = { promise: Promise.resolve(2), total: 40 }; return total + (await promise)',
    0,
    '42\n',
  ],
  ['undefined', 0, ''],
  ['nosuch', 1, ''],
])('shell --eval %j', async (code, exit, stdout) => {
  expect(await cli('shell', '--eval', code)).toMatchObject({ code: exit, stdout });
});

it('shell reads code from its input', async () => {
  const shell = await runCli(['-A', 'tasks', 'shell'], { cwd: made.folder, input: 'await app.main\n' });
  expect(shell).toMatchObject({ code: 0, stdout: "'ext'\n" });
});

it('shows in the help what the app adds, and puts settings of its options in force', async () => {
  expect((await cli('--help')).stdout).toMatch(/^ {2}replay +Send it again\.$/m);
  expect((await cli('worker', '--help')).stdout).toMatch(/-t, --tenant <name> +whose tasks to run/);
  const refused = await cli('worker', '-t', 'acme', '-Q', 'nosuch', 'task_create_missing_queues=false');
  expect(refused.stderr).toContain('of-acme');
});
