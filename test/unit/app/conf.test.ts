import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Celery, ImproperlyConfigured } from '../../../src/index.ts';
import type { Settings } from '../../../src/index.ts';
import { environmentSettings, misspeltVariables } from '../../../src/app/environment.ts';

afterEach(() => vi.unstubAllEnvs());

describe('app.conf', () => {
  it('reads the value in force, defaults included', () => {
    const app = new Celery('a', {
      broker: 'memory://',
      backend: 'cache+memory://',
      task_default_queue: 'jobs',
    });
    expect([
      app.conf.broker_url,
      app.conf.result_backend,
      app.conf.task_default_queue,
      app.conf.task_serializer,
    ]).toEqual(['memory://', 'cache+memory://', 'jobs', 'json']);
  });

  it('takes assignments and updates, also after use', () => {
    const app = new Celery('a');
    const before = app.settings;
    app.conf.task_default_queue = 'one';
    expect(app.settings.task_default_queue).toBe('one');
    app.conf.update({ task_default_queue: 'two', worker_concurrency: 3 });
    expect([app.conf.task_default_queue, app.conf.worker_concurrency, before.task_default_queue]).toEqual([
      'two',
      3,
      'celery',
    ]);
    expect(app.queues.all()[0]?.name).toBe('two');
  });

  it('is frozen where it is resolved', () => {
    expect(Object.isFrozen(new Celery('a').settings)).toBe(true);
  });

  it.each<[string, (app: Celery) => void, RegExp]>([
    [
      'a misspelt name',
      (app) => app.conf.update({ task_serialiser: 'json' } as Settings),
      /app\.conf: task_serialiser.*task_serializer/,
    ],
    [
      'a wrong type',
      (app) => app.conf.update({ worker_concurrency: 'two' } as unknown as Settings),
      /app\.conf: worker_concurrency takes/,
    ],
    [
      'a wrong object',
      (app) => app.configFromObject({ nothing_known: 1 } as Settings),
      /configFromObject: nothing_known/,
    ],
  ])('refuses %s when it is used', (_, set, message) => {
    const app = new Celery('a');
    set(app);
    expect(() => app.settings).toThrow(ImproperlyConfigured);
    expect(() => app.settings).toThrow(message);
  });

  it('names the constructor', () => {
    expect(() => new Celery('proj', { task_ack_late: true } as Settings).settings).toThrow(
      /new Celery\('proj'\): task_ack_late/,
    );
  });

  it('can be looked through', () => {
    const { conf } = new Celery('a', { task_default_queue: 'q' });
    expect('task_default_queue' in conf).toBe(true);
    expect(Object.entries(conf)).toContainEqual(['task_default_queue', 'q']);
    expect(structuredClone({ ...conf, update: undefined }).task_default_queue).toBe('q');
  });
});

describe('the order of the places', () => {
  it.each<[string, number]>([
    ['default', 0],
    ['file', 1],
    ['constructor', 2],
    ['conf', 3],
    ['environment', 4],
    ['command line', 5],
  ])('%s', (strongest, count) => {
    if (count >= 4) vi.stubEnv('CELERY_TASK_DEFAULT_QUEUE', 'environment');
    const app = new Celery('a', count >= 2 ? { task_default_queue: 'constructor' } : {});
    if (count >= 5)
      app.addSettingsLayer(
        { origin: 'command line', values: { task_default_queue: 'command line' } },
        'commandLine',
      );
    if (count >= 3) app.conf.task_default_queue = 'conf';
    if (count >= 1) app.configFromObject({ task_default_queue: 'file' });
    expect(app.settings.task_default_queue).toBe(count === 0 ? 'celery' : strongest);
  });

  it('casts what the environment says', () => {
    expect(
      environmentSettings({
        CELERY_WORKER_CONCURRENCY: '4',
        CELERY_TASK_ACKS_LATE: 'true',
        CELERY_NO_SUCH: 'x',
        CELERY_BROKER_URL: '',
      }),
    ).toEqual({
      worker_concurrency: 4,
      task_acks_late: true,
    });
  });

  it('hints at the short names of the constructor', () => {
    const settings = { bakend: 'rpc://' } as Settings;
    expect(() => new Celery('shop', settings).settings).toThrow(
      "new Celery('shop'): bakend is not a setting of Celery. Did you mean backend?",
    );
  });

  it('tells misspelt variables from those of others', () => {
    const others = [
      'CELERY_SERVICE_HOST',
      'CELERY_PORT_5672_TCP_ADDR',
      'CELERY_WORKER_LOGLEVEL',
      'CELERY_APP',
      'PATH',
    ];
    const environment = Object.fromEntries(
      [...others, 'CELERY_TASK_ACKS_LATE', 'CELERY_TASK_AKCS_LATE'].map((name) => [name, '1']),
    );
    expect(misspeltVariables(environment)).toEqual([
      'The environment variable CELERY_TASK_AKCS_LATE is no setting. Did you mean CELERY_TASK_ACKS_LATE?',
    ]);
  });
});

describe('ready', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'celery-ts-conf-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** An app whose module lies in `folder`. */
  function appIn(settings: Settings = {}): Celery {
    const app = new Celery('a', settings);
    Object.defineProperty(app, 'file', { value: join(folder, 'tasks.ts') });
    return app;
  }

  it('knows the module that made the app', () => {
    class Own extends Celery {}
    expect([new Celery('a').file, new Own('a').file]).toEqual([import.meta.filename, import.meta.filename]);
  });

  it('finds celeryconfig beside the module of the app, below what its code says', async () => {
    await writeFile(
      join(folder, 'celeryconfig.json'),
      '{"task_default_queue": "file", "worker_concurrency": 7}',
    );
    const app = appIn({ task_default_queue: 'code' });
    await app.ready();
    expect([app.conf.task_default_queue, app.conf.worker_concurrency]).toEqual(['code', 7]);
  });

  it('is waited for by whatever is sent', async () => {
    await writeFile(
      join(folder, 'celeryconfig.json'),
      '{"broker_url": "memory://", "task_default_queue": "file"}',
    );
    const app = appIn();
    await app.sendTask('t');
    expect(app.conf.broker_url).toBe('memory://');
    await app.close();
  });

  it('looks for no file after configFromObject(object)', async () => {
    await writeFile(join(folder, 'celeryconfig.json'), '{"task_default_queue": "file"}');
    const app = appIn();
    app.configFromObject({ worker_concurrency: 2 });
    await app.ready();
    expect([app.conf.task_default_queue, app.conf.worker_concurrency]).toEqual(['celery', 2]);
  });

  it('imports the module that configFromObject names', async () => {
    await writeFile(
      join(folder, 'settings_prod.mjs'),
      "export const task_default_queue = 'named';\nexport default {};\n",
    );
    const app = appIn();
    app.configFromObject('settings_prod');
    await app.ready();
    expect(app.conf.task_default_queue).toBe('named');
  });

  it('says what it looked for', async () => {
    const app = appIn();
    app.configFromObject('missing_module');
    await expect(app.ready()).rejects.toThrow(/missing_module/);
    await expect(app.sendTask('t')).rejects.toThrow(ImproperlyConfigured);
  });

  it('warns once of settings that have no effect yet', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const app = appIn({ result_exchange: 'mine' });
    await Promise.all([app.ready(), app.ready()]);
    await app.ready();
    expect(warn.mock.calls).toEqual([[expect.stringContaining('result_exchange'), 'CeleryWarning']]);
    warn.mockRestore();
  });
});
