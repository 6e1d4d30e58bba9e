import { ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean, nearest } from '../core/nearest.ts';
import { maskText } from '../core/url.ts';
import type { Problem } from './kinds.ts';
import { isSecret } from './mask.ts';
import type { ResolvedSettings } from './settings.ts';
import { newNames, settingsByName } from './table.ts';

/** Settings from one place. */
export interface SettingsLayer {
  /** Where they come from, as errors name it: `celeryconfig.ts`, `app.conf`, `environment`, `command line`. */
  readonly origin: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Short names that this place takes besides those of settings; for the hint at a misspelt one. */
  readonly names?: readonly string[];
}

/**
 * Checks the layers, weakest first, and fills in the defaults.
 *
 * A value of `undefined` counts as not set. Exports of a config module that are no settings, such as helper functions, are
 * left alone when they are functions with a name unlike any setting, or begin with `_`.
 *
 * @throws {@link ImproperlyConfigured} with one line for each problem of all layers.
 */
export function resolveSettings(layers: readonly SettingsLayer[]): ResolvedSettings {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, spec] of settingsByName) values[name] = spec.default;
  for (const layer of layers) {
    for (const [name, value] of entriesOf(layer)) {
      const spec = settingsByName.get(name);
      if (spec === undefined) {
        problems.push(`${layer.origin}: ${describeUnknown(name, layer.names ?? [])}`);
        continue;
      }
      const reading = spec.kind.read(value);
      if (reading.ok) values[name] = reading.value;
      else problems.push(`${layer.origin}: ${describe(name, reading.problem)}`);
    }
  }
  if (problems.length > 0) throw new ImproperlyConfigured(problems.join('\n'));
  // The table has a row for each setting (its type says so), and each kind yields the type of its row.
  return Object.freeze(values) as unknown as ResolvedSettings;
}

/** What the layers set, without the defaults: the strongest value of each, as it was given. */
export function changedSettings(layers: readonly SettingsLayer[]): Record<string, unknown> {
  return Object.fromEntries(layers.flatMap((layer) => entriesOf(layer)));
}

/** Names of the settings that are set to other than their default although nothing reads them yet. */
export function unsupportedSettings(layers: readonly SettingsLayer[]): string[] {
  return Object.entries(changedSettings(layers))
    .filter(([name, value]) => {
      const spec = settingsByName.get(name);
      return spec?.later === true && JSON.stringify(value) !== JSON.stringify(spec.default);
    })
    .map(([name]) => name)
    .sort();
}

/**
 * The value that a text from the environment or the command line stands for, such as `4` for `'4'`; the text itself when it
 * is none, so that {@link resolveSettings} refuses it together with all else that is wrong.
 */
export function castSetting(name: string, text: string): unknown {
  const spec = settingsByName.get(name);
  return spec === undefined ? text : spec.kind.cast(text);
}

function entriesOf(layer: SettingsLayer): [string, unknown][] {
  return Object.entries(layer.values).filter(
    ([name, value]) => value !== undefined && !name.startsWith('_') && !isHelper(name, value),
  );
}

function isHelper(name: string, value: unknown): boolean {
  return typeof value === 'function' && !settingsByName.has(name) && modernName(name) === undefined;
}

function describeUnknown(name: string, shortNames: readonly string[]): string {
  const short = nearest(name, shortNames);
  if (short !== undefined) return `${name} is not a setting of Celery. Did you mean ${short}?`;
  const modern = modernName(name);
  if (modern === undefined) return `${name} is not a setting of Celery.`;
  const isOld = newNames.has(name) || /^[A-Z_\d]+$/.test(name);
  return isOld
    ? `${name} is an old name: write ${modern}`
    : `${name} is not a setting of Celery.${didYouMean(name, settingsByName.keys())}`;
}

/** The setting that an unknown name is meant to be, if one can be told. */
function modernName(name: string): string | undefined {
  const renamed = newNames.get(name);
  if (renamed !== undefined) return renamed;
  const lower = name.toLowerCase();
  for (const candidate of [lower, lower.replace(/^celery_/, '')])
    if (settingsByName.has(candidate)) return candidate;
  const meant = didYouMean(name, settingsByName.keys());
  return meant === '' ? undefined : meant.slice(' Did you mean '.length, -1);
}

const LONGEST_SHOWN = 100;

function describe(name: string, problem: Problem): string {
  const told = problem.hint === undefined || problem.hint === '' ? jsonProblem(problem.got) : problem.hint;
  const hint = told === undefined ? '' : `. ${told}`;
  if (problem.takes === null) return `${name}${problem.path} is not known${hint}`;
  const got = isSecret(name) ? 'a value of another kind' : show(problem.got);
  return `${name}${problem.path} takes ${problem.takes}, got ${got}${hint}`;
}

/** Of a text that was meant to be JSON: nothing else in the environment or on the command line begins so. */
function jsonProblem(got: unknown): string | undefined {
  if (typeof got !== 'string' || !/^\s*[[{]/.test(got)) return undefined;
  try {
    JSON.parse(got);
    return undefined;
  } catch {
    return 'The text is not JSON: a bracket, a comma or a double quote may be missing';
  }
}

function show(value: unknown): string {
  const text = maskText(showInFull(value));
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function showInFull(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
  if (typeof value === 'bigint' || typeof value === 'symbol' || Object.is(value, NaN)) return String(value);
  if (value === Infinity || value === -Infinity || value instanceof RegExp) return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    // A cycle, or a toJSON that throws.
    return 'an object that cannot be shown';
  }
}
