import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { resolveSettings } from '../../../src/settings/resolve.ts';
import { newNames, settingsByName } from '../../../src/settings/table.ts';

interface Fact {
  readonly name: string;
  readonly oldName: string | null;
  readonly type: string;
  readonly default: unknown;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const facts = JSON.parse(readFileSync(join(root, 'test/fixtures/settings.json'), 'utf8')) as Fact[];

it('has every setting of Celery, and no others', () => {
  expect([...settingsByName.keys()].sort()).toEqual(facts.map(({ name }) => name).sort());
  expect(Object.keys(resolveSettings([])).sort()).toEqual([...settingsByName.keys()].sort());
});

it('has Celery’s defaults and old names', () => {
  for (const fact of facts) {
    const spec = settingsByName.get(fact.name);
    expect({ name: fact.name, default: spec?.default, oldName: spec?.oldName }).toEqual({
      name: fact.name,
      default: fact.default === 'Infinity' ? Infinity : fact.default,
      oldName: fact.oldName,
    });
  }
  expect(newNames.size).toBe(facts.filter(({ oldName }) => oldName !== null).length);
});

it('has a default of its own kind for each setting', () => {
  for (const [name, { kind, default: value }] of settingsByName) {
    expect([name, kind.read(value)]).toEqual([name, { ok: true, value }]);
  }
});

// A value of each kind that Celery's table knows; what is more than that is refined by our own kinds.
const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  bool: [true, false],
  int: [1, 2],
  float: [1, 2.5],
  string: ['json'],
  dict: [{}],
  list: [['json']],
  tuple: [['a', 'b']],
};

// Where a plain value of the type that Celery declares is not enough.
const REFINED: ReadonlySet<string> = new Set(
  `timezone broker_url broker_read_url broker_write_url broker_failover_strategy
  broker_native_delayed_delivery_queue_type task_create_missing_queue_type task_default_queue_type task_default_delivery_mode
  task_default_rate_limit task_default_priority worker_redirect_stdouts_level worker_log_format worker_task_log_format
  cassandra_auth_kwargs`.split(/\s+/),
);

it('takes what Celery’s types take', () => {
  const refused = facts.flatMap(({ name, type }) =>
    (SAMPLES[type] ?? [])
      .filter((sample) => settingsByName.get(name)?.kind.read(sample).ok !== true)
      .map((sample) => `${name} ${JSON.stringify(sample)}`),
  );
  expect(refused.filter((each) => !REFINED.has(each.split(' ')[0] ?? ''))).toEqual([]);
});

it('marks as later exactly what nothing reads', () => {
  const source = sourcesOutsideSettings();
  const wrong = [...settingsByName]
    .filter(([name, { later }]) => new RegExp(`\\b${name}\\b`).test(source) === (later === true))
    .map(([name, { later }]) => `${name} ${later === true ? 'is read' : 'is not read'}`);
  expect(wrong).toEqual([]);
});

/** Without comments, and without names that are only compared, such as `'beat_schedule'`. */
function sourcesOutsideSettings(): string {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('settings'))
    .map((path) => readFileSync(join(root, 'src', path), 'utf8'))
    .join('\n')
    .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|'\w+'/gm, '');
}

it('is what docs/settings.md shows', { timeout: 120_000 }, () => {
  const run = (): string =>
    execFileSync(process.execPath, [join(root, 'scripts/settings-docs.js'), '--check'], {
      cwd: root,
      encoding: 'utf8',
    });
  expect(run).not.toThrow();
});
