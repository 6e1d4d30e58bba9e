import { castSetting } from '../settings/resolve.ts';
import { settingsByName } from '../settings/table.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings from environment variables: `CELERY_BROKER_URL` is `broker_url`, and so on for each. */
export function environmentSettings(environment: Environment): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name of settingsByName.keys()) {
    const text = environment[`CELERY_${name.toUpperCase()}`];
    // CELERY_BEAT_SCHEDULE is the path of beat's file; no text can be the setting of that name.
    if (text !== undefined && text !== '' && name !== 'beat_schedule') values[name] = castSetting(name, text);
  }
  return values;
}

/** The environment of a script that uses the app without the command line, which hands its own down. */
export function processEnvironment(): Environment {
  // eslint-disable-next-line no-restricted-properties -- A plain script has nobody else to read CELERY_BROKER_URL for it.
  return process.env;
}
