import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Project } from '../../support/project.ts';
import { createProject } from '../../support/project.ts';

const SCRIPT = resolve(import.meta.dirname, '../../support/load-app.js');

interface Case {
  readonly spec?: string;
  readonly cwd: string;
  readonly config?: object;
  readonly imports?: boolean;
}

interface Loaded {
  readonly main?: string;
  readonly file?: string;
  readonly configFile?: string | null;
  readonly tasks?: readonly string[];
  readonly broker_url?: string;
  readonly task_default_queue?: string;
  readonly include?: readonly string[];
  readonly error?: string;
  readonly message?: string;
}

const projects: Project[] = [];

function project(files: Readonly<Record<string, string>>, type?: 'module' | 'commonjs'): Project {
  const made = createProject(files, type === undefined ? {} : { type });
  projects.push(made);
  return made;
}

/** One process for many cases: Node starts slowly. */
function load(cases: readonly Case[]): Loaded[] {
  const output = execFileSync(process.execPath, [SCRIPT], { input: JSON.stringify(cases), encoding: 'utf8' });
  return JSON.parse(output) as Loaded[];
}

const app = (name: string, more = '') =>
  `import { Celery } from 'celery-ts';\nexport const app = new Celery('${name}', { broker: 'memory://' });\n${more}`;
const required = (name: string) =>
  `const { Celery } = require('celery-ts');\nmodule.exports = { app: new Celery('${name}', { broker: 'memory://' }) };`;

afterAll(() => {
  for (const each of projects) each.remove();
});

describe('finding the module', () => {
  const made = project({
    'tasks.ts': app('ts'),
    'tasks.js': app('js'),
    'm.mts': app('mts'),
    'c.cts': app('cts'),
    'n.mjs': app('mjs'),
    'r.cjs': required('cjs'),
    'proj/celery.ts': app('proj.celery'),
    'proj/index.ts': app('proj.index'),
    'web/index.ts': app('web.index'),
    'src/deep/tasks.ts': app('deep', "export const second = new Celery('second');"),
    'node_modules/@scope/pkg/package.json': JSON.stringify({ name: '@scope/pkg', main: 'index.js' }),
  });
  const cases = [
    ['tasks', 'ts', 'tasks.ts'],
    ['tasks.js', 'js', 'tasks.js'],
    ['m', 'mts', 'm.mts'],
    ['c', 'cts', 'c.cts'],
    ['n', 'mjs', 'n.mjs'],
    ['r', 'cjs', 'r.cjs'],
    ['./tasks', 'ts', 'tasks.ts'],
    ['proj', 'proj.celery', 'proj/celery.ts'],
    ['proj/', 'proj.celery', 'proj/celery.ts'],
    ['proj.celery', 'proj.celery', 'proj/celery.ts'],
    ['proj.celery:app', 'proj.celery', 'proj/celery.ts'],
    ['proj.index', 'proj.index', 'proj/index.ts'],
    ['web', 'web.index', 'web/index.ts'],
    ['src/deep/tasks.ts', 'deep', 'src/deep/tasks.ts'],
    ['src.deep.tasks', 'deep', 'src/deep/tasks.ts'],
    ['src/deep.tasks', 'deep', 'src/deep/tasks.ts'],
    ['src/deep/tasks:second', 'second', 'src/deep/tasks.ts'],
    ['src.deep.tasks.second', 'second', 'src/deep/tasks.ts'],
    [made.path('m.mts'), 'mts', 'm.mts'],
  ] as const;
  const loaded = load(cases.map(([spec]) => ({ spec, cwd: made.folder })));

  it.each(cases.map((each, index) => [...each, index] as const))('-A %s', (_, main, file, index) => {
    expect(loaded[index]).toMatchObject({ main, file: made.path(file) });
  });

  it('loads the default app without -A', () => {
    expect(load([{ cwd: made.folder }])).toMatchObject([{ main: 'default', tasks: [] }]);
  });
});

describe('picking the app', () => {
  const made = project({
    'first.ts': app('app', "export const celery = new Celery('celery');"),
    'second.ts': `import { Celery } from 'celery-ts';\nexport const app = () => 1;\nexport const celery = new Celery('celery');`,
    'third.ts': `import { Celery } from 'celery-ts';\nexport const worker = new Celery('any');`,
    'fallback.ts': `import { Celery } from 'celery-ts';\nexport default new Celery('default export');`,
    'object.ts': `import { Celery } from 'celery-ts';\nexport default { app: new Celery('in the default export') };`,
    'assigned.cjs': `const { Celery } = require('celery-ts');\nmodule.exports = new Celery('module.exports');`,
    'assigned.cts': `import { Celery } from 'celery-ts';\nexport = new Celery('export =');`,
    'compiled.cjs': `Object.defineProperty(exports, '__esModule', { value: true });\nconst celery_ts_1 = require('celery-ts');\nexports.default = new celery_ts_1.Celery('compiled');`,
  });
  const cases = [
    ['first', 'app'],
    ['second', 'celery'],
    ['third', 'any'],
    ['fallback', 'default export'],
    ['fallback:default', 'default export'],
    ['object', 'in the default export'],
    ['assigned.cjs', 'module.exports'],
    ['assigned.cts', 'export ='],
    ['compiled', 'compiled'],
  ] as const;
  const loaded = load(cases.map(([spec]) => ({ spec, cwd: made.folder })));

  it.each(cases.map((each, index) => [...each, index] as const))('-A %s', (_, main, index) => {
    expect(loaded[index]).toMatchObject({ main });
  });
});

describe('what is said when there is no app', () => {
  const made = project({
    'plain.ts': 'export const add = 1;\nexport const mul = 2;',
    'empty.ts': '',
    'app.ts': app('app', 'export const other = 1;'),
    'throws.ts': "\n\nthrow new TypeError('it is broken');",
    'nothing.ts': 'throw undefined;',
    'syntax.ts': 'const a = ;',
    'imports.ts': "import 'a-package-that-is-not-there';",
    'old/tasks.ts': 'const x = await Promise.resolve(1);\nexport const app = x;',
    'old/package.json': '{}',
  });
  const place = made.folder;
  const cases: readonly (readonly [string, RegExp | string])[] = [
    [
      'nosuch',
      `Cannot load the app 'nosuch': no nosuch.{ts,mts,cts,js,mjs,cjs}, nosuch/celery.*, nosuch/index.* in ${place}. Name the module with -A, and its folder with --workdir.`,
    ],
    [
      'src/nosuch.ts',
      `Cannot load the app 'src/nosuch.ts': no src/nosuch.ts in ${place}. Name the module with -A, and its folder with --workdir.`,
    ],
    [
      'plain',
      /^Cannot load the app 'plain': plain\.ts was imported, but exports no Celery app \(it exports add, mul\)\./,
    ],
    ['empty', /exports no Celery app \(it exports nothing\)/],
    [
      'app:nosuch',
      "Cannot load the app 'app:nosuch': app.ts was imported, but it has no export 'nosuch'; it exports app, other.",
    ],
    [
      'app:other',
      "Cannot load the app 'app:other': app.ts was imported, but its export 'other' is no Celery app; it exports app, other.",
    ],
    ['throws', "Cannot load the app 'throws': throws.ts failed: TypeError: it is broken (throws.ts:3:7)"],
    ['nothing', "Cannot load the app 'nothing': nothing.ts failed: it threw undefined"],
    ['syntax', /^Cannot load the app 'syntax': syntax\.ts failed: .*ERROR: Unexpected ";"/],
    ['imports', /failed: Cannot find package 'a-package-that-is-not-there' imported from .*imports\.ts/],
    ['old/tasks', /Top-level await .* write "type": "module" into package\.json, or name the file \.mts/],
  ];
  const loaded = load(cases.map(([spec]) => ({ spec, cwd: made.folder })));

  it.each(cases.map((each, index) => [...each, index] as const))('-A %s', (_, message, index) => {
    expect(loaded[index]?.error).toBe('AppLoadError');
    expect(loaded[index]?.message).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    );
    expect(loaded[index]?.message).not.toContain('\n');
  });
});

describe('importing task modules', () => {
  const task = (name: string) =>
    `import { app } from './tasks.ts';\nexport const t = app.task('${name}', () => 1);`;
  const made = project({
    'tasks.ts': app('tasks', "app.autodiscoverTasks(['web', 'none']);"),
    'more.ts': task('more'),
    'extra.ts': task('extra'),
    'web/tasks.ts': task('web').replace('./tasks.ts', '../tasks.ts'),
    'celeryconfig.json': JSON.stringify({ imports: ['more'], include: ['extra'] }),
    'again.ts': task('again'),
    'broken.ts': "throw new Error('no');",
  });
  const at = (commandLine: object) => ({
    spec: 'tasks',
    cwd: made.folder,
    imports: true,
    config: { commandLine },
  });
  // A process for each: within one they would get the same app.
  const [plain, added, missing, failing] = [
    {},
    { include: ['again'] },
    { include: ['nosuch'] },
    { include: ['broken'] },
  ].map((commandLine) => load([at(commandLine)])[0]);

  it('imports those of imports, include and autodiscoverTasks', () => {
    expect(plain?.tasks).toEqual(['more', 'extra', 'web']);
  });

  it('adds -I to the configured ones', () => {
    expect(added?.include).toEqual(['extra', 'again']);
    expect(added?.tasks).toContain('again');
  });

  it('says which one cannot be imported', () => {
    expect(missing?.message).toMatch(/^Cannot import the tasks in 'nosuch': no nosuch\.\{ts,/);
    expect(failing?.message).toBe(
      "Cannot import the tasks in 'broken': broken.ts failed: no (broken.ts:1:7)",
    );
  });
});

describe('finding the configuration', () => {
  const queue = (name: string) => ({ task_default_queue: name });
  const files = (file: string, content: string, type?: 'module' | 'commonjs') =>
    project({ 'src/tasks.ts': app('tasks'), [file]: content }, type);
  const settings = (name: string) => JSON.stringify(queue(name));
  const cases: readonly (readonly [string, Project])[] = [
    [
      'celeryconfig.ts',
      files(
        'celeryconfig.ts',
        `import { defineConfig } from 'celery-ts';\nexport default defineConfig(${settings('q')});`,
      ),
    ],
    ['celeryconfig.mts', files('celeryconfig.mts', "export const task_default_queue: string = 'q';")],
    ['celeryconfig.cts', files('celeryconfig.cts', "export const task_default_queue: string = 'q';")],
    [
      'src/celeryconfig.ts',
      files('src/celeryconfig.ts', "export const task_default_queue = 'q'; export default {};", 'commonjs'),
    ],
    ['celeryconfig.js', files('celeryconfig.js', `export default ${settings('q')};`)],
    [
      'celeryconfig.mjs',
      files('celeryconfig.mjs', "export const task_default_queue = 'q'; export function helper() {}"),
    ],
    ['celeryconfig.cjs', files('celeryconfig.cjs', `module.exports = ${settings('q')};`)],
    ['celeryconfig.json', files('celeryconfig.json', settings('q'))],
    ['celeryconfig.yaml', files('celeryconfig.yaml', 'task_default_queue: q\n')],
    ['celeryconfig.yml', files('celeryconfig.yml', 'task_default_queue: q\n')],
    ['package.json', files('package.json', JSON.stringify({ type: 'module', celery: queue('q') }))],
  ];
  const loaded = load(cases.map(([, made]) => ({ spec: 'src/tasks', cwd: made.folder, config: {} })));

  it.each(cases.map(([file, made], index) => [file, made, index] as const))('in %s', (file, made, index) => {
    expect(loaded[index]).toMatchObject({ task_default_queue: 'q', configFile: made.path(file) });
  });

  it('searches from the module upward before the working folder, and in the order of its strength', () => {
    const made = project({
      'a/b/tasks.ts': app('tasks'),
      'a/celeryconfig.ts': `export default ${settings('above the module')};`,
      'cwd/celeryconfig.ts': `export default ${settings('working folder')};`,
      'other/tasks.ts': app('tasks'),
      'known/tasks.ts': app('tasks'),
      'named.ts': `export default ${settings('named')};`,
    });
    const set = { broker_url: 'sqlite:///a.db' };
    const results = load([
      { spec: '../a/b/tasks.ts', cwd: made.path('cwd'), config: {} },
      { spec: '../other/tasks.ts', cwd: made.path('cwd'), config: {} },
      { spec: '../known/tasks.ts', cwd: made.path('cwd'), config: { configFile: null } },
      { spec: 'a/b/tasks.ts', cwd: made.folder, config: { configModule: 'named' } },
      { spec: 'a/b/tasks.ts', cwd: made.folder, config: { environment: set } },
      {
        spec: 'a/b/tasks.ts',
        cwd: made.folder,
        config: { environment: { broker_url: 'memory://x' }, commandLine: set },
      },
      { spec: 'a/b/tasks.ts', cwd: made.folder, config: { configModule: 'nosuch' } },
    ]);
    expect(results.map((each) => each.task_default_queue ?? each.message)).toEqual([
      'above the module',
      'working folder',
      'celery',
      'named',
      'above the module',
      'above the module',
      expect.stringMatching(/^Cannot find the config module 'nosuch': no nosuch\.\{ts,/) as string,
    ]);
    expect(results.slice(0, 6).map((each) => each.broker_url)).toEqual([
      ...Array<string>(4).fill('memory://'),
      'sqlite:///a.db',
      'sqlite:///a.db',
    ]);
  });

  it.each([
    [
      'celeryconfig.ts',
      'export const task_serializr = 1;',
      /^celeryconfig\.ts: task_serializr is not a setting of Celery\. Did you mean task_serializer\?$/,
    ],
    [
      'celeryconfig.ts',
      "\nthrow new Error('no secrets today');",
      /^Cannot read the configuration in celeryconfig\.ts: no secrets today \(celeryconfig\.ts:2:7\)$/,
    ],
    ['celeryconfig.json', '{', /^Cannot read the configuration in celeryconfig\.json: /],
    ['celeryconfig.yaml', '- a\n- b\n', /^celeryconfig\.yaml: the configuration is not an object/],
    [
      'package.json',
      '{ "type": "module", "celery": { "task_serializr": 1 } }',
      /^"celery" in package\.json: task_serializr/,
    ],
  ])('says what is wrong with %s', (file, content, message) => {
    const made = project({ 'tasks.ts': app('tasks'), [file]: content });
    const [result] = load([{ spec: 'tasks', cwd: made.folder, config: {} }]);
    expect(result?.error).toBe('ImproperlyConfigured');
    expect(result?.message).toMatch(message);
  });
});
