import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { run } from '../../../src/cli/main.ts';
import { upgradeSettings } from '../../../src/cli/upgrade/upgrade.ts';

it.each([
  ["BROKER_URL = 'redis://'", "broker_url = 'redis://'", "CELERY_BROKER_URL = 'redis://'"],
  ['CELERYD_CONCURRENCY=4', 'worker_concurrency=4', 'CELERY_WORKER_CONCURRENCY=4'],
  ['{"CELERY_RESULT_BACKEND": 1}', '{"result_backend": 1}', '{"CELERY_RESULT_BACKEND": 1}'],
  ['export const CELERYBEAT_SCHEDULE', 'export const beat_schedule', 'export const CELERY_BEAT_SCHEDULE'],
  [
    "conf['BROKER_TRANSPORT_OPTIONS']",
    "conf['broker_transport_options']",
    "conf['CELERY_BROKER_TRANSPORT_OPTIONS']",
  ],
  ['MY_BROKER_URL BROKER_URLS $BROKER_URL', 'MY_BROKER_URL BROKER_URLS $BROKER_URL', undefined],
  ['broker_url = 1', 'broker_url = 1', undefined],
])('%s', (before, after, django = after) => {
  expect(upgradeSettings(before, false)).toBe(after);
  expect(upgradeSettings(before, true)).toBe(django);
});

const printed = { out: '', err: '' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'celery-ts-upgrade-'));
  Object.assign(printed, { out: '', err: '' });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed.out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((printed.err += String(text)), true));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

// console/upgrade.txt
const OLD =
  "BROKER_URL = 'redis://'\nCELERY_RESULT_BACKEND = 'redis://'\nCELERYD_CONCURRENCY = 4\nCELERYBEAT_SCHEDULE = {}\n";
const NEW =
  "broker_url = 'redis://'\nresult_backend = 'redis://'\nworker_concurrency = 4\nbeat_schedule = {}\n";

it('rewrites the file, keeps the old one and says so as Celery does', async () => {
  const file = join(folder, 'oldsettings.py');
  writeFileSync(file, OLD);
  expect(await run(['upgrade', 'settings', file], {})).toBe(0);
  expect(printed.err).toBe(`processing ${file}...\nwriting backup to ${file}.orig...\n`);
  expect(printed.out).toBe('Changes to your setting have been made!\n');
  expect([readFileSync(file, 'utf8'), readFileSync(`${file}.orig`, 'utf8')]).toEqual([NEW, OLD]);
  expect(await run(['-q', 'upgrade', 'settings', file, '--no-backup'], {})).toBe(0);
  expect(printed.out).toMatch(/\nDoes not seem to require any changes :-\)\n$/);
});
