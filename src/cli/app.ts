import type { Celery } from '../app/celery.ts';
import { environmentSettings } from '../app/environment.ts';
import { applyConfig, importTasks, loadApp, prepareSearch } from '../app/loader.ts';
import type { Context } from './context.ts';
import { whileLoading } from './loading.ts';
import { globalSettings } from './outside-settings.ts';

/** The user's app with its configuration, and what another process needs to load the same. */
export interface OpenedApp {
  readonly app: Celery;
  readonly file: string | undefined;
  readonly configFile: string | null;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly commandLine: Readonly<Record<string, unknown>>;
}

/** Loads the app of `-A` and gives it its settings from file, environment and command line. */
export async function openApp(
  context: Context,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<OpenedApp> {
  const { global, env, cwd } = context;
  const environment = environmentSettings(env);
  const commandLine = { ...globalSettings(global), ...settings };
  const what =
    global.app === undefined ? 'Cannot load the configuration' : `Cannot load the app '${global.app}'`;
  return whileLoading(what, cwd, async () => {
    await prepareSearch(cwd);
    const { app, file } = await loadApp(global.app, { cwd });
    const configModule = global.config ?? env.CELERY_CONFIG_MODULE;
    const { configFile } = await applyConfig(app, { cwd, file, configModule, environment, commandLine });
    return {
      app,
      file,
      configFile,
      environment,
      commandLine: await withUserOptions(context, app, commandLine),
    };
  });
}

/** Options of the app's own, once it has its configuration. */
async function withUserOptions(
  context: Context,
  app: Celery,
  commandLine: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  if (app.cliExtensions.options.length === 0) return commandLine;
  const { userSettings } = await import('./extend.ts');
  const values = { ...commandLine, ...(await userSettings(app, context.typed, context.command)) };
  app.addSettingsLayer({ origin: 'command line', values }, 'commandLine');
  return values;
}

/** Imports the task modules of the app. */
export function importAll({ app, file }: OpenedApp, { cwd }: Context): Promise<void> {
  return whileLoading('Cannot import the tasks', cwd, () => importTasks(app, { cwd, file }));
}

/** Runs a short command with the app, and closes what the app opened. */
export async function withApp(
  context: Context,
  run: (opened: OpenedApp) => Promise<number>,
): Promise<number> {
  const opened = await openApp(context);
  try {
    return await run(opened);
  } finally {
    await opened.app.close();
  }
}
