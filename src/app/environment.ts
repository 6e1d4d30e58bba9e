import { nearest } from '../core/nearest.ts';
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

/**
 * Variables that look like a setting with a slip of the fingers in its name, each with the name that was meant. They are not
 * refused: container platforms put variables of their own beside ours.
 */
export function misspeltVariables(environment: Environment): string[] {
  const known = [...settingsByName.keys()].map((name) => `CELERY_${name.toUpperCase()}`);
  const problems: string[] = [];
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('CELERY_') || known.includes(name)) continue;
    const meant = nearest(name, known, 2);
    if (meant !== undefined)
      problems.push(`The environment variable ${name} is no setting. Did you mean ${meant}?`);
  }
  return problems;
}

/** The environment of a script that uses the app without the command line, which hands its own down. */
export function processEnvironment(): Environment {
  // eslint-disable-next-line no-restricted-properties -- A plain script has nobody else to read CELERY_BROKER_URL for it.
  return process.env;
}
