import { resolveSettings } from '../settings/resolve.ts';
import type { SettingsLayer } from '../settings/resolve.ts';
import type { ResolvedSettings, Settings } from '../settings/settings.ts';

/** Where settings come from, weakest first. */
export const PLACES = ['file', 'constructor', 'conf', 'environment', 'commandLine'] as const;

export type SettingsPlace = (typeof PLACES)[number];

/**
 * `app.conf`: the settings by Celery's names. Reading gives the value in force, with the defaults; what is assigned is
 * checked when the settings are used next.
 */
export type Conf = { -readonly [Name in keyof Settings]-?: Exclude<Settings[Name], undefined> } & {
  /** Assigns several settings. */
  update(values: Settings): void;
};

/** The settings of an app: layers from each place, checked and merged when they are first needed. */
export class Configuration {
  /** What the user reads and assigns. */
  readonly conf: Conf = confOf(this);

  readonly #layers = new Map<SettingsPlace, SettingsLayer>();
  #settings: ResolvedSettings | undefined;

  /** The layers in use, weakest first. */
  get layers(): readonly SettingsLayer[] {
    return PLACES.flatMap((place) => this.#layers.get(place) ?? []);
  }

  /**
   * The settings in force; another object after each change.
   * @throws {ImproperlyConfigured} naming the place, the setting and what it takes
   */
  get settings(): ResolvedSettings {
    this.#settings ??= resolveSettings(this.layers);
    return this.#settings;
  }

  /** Replaces what that place says. */
  put(place: SettingsPlace, layer: SettingsLayer): void {
    this.#layers.set(place, layer);
    this.#settings = undefined;
  }

  /** What `app.conf` was assigned. */
  assign(values: Readonly<Record<string, unknown>>): void {
    this.put('conf', { origin: 'app.conf', values: { ...this.#layers.get('conf')?.values, ...values } });
  }
}

function confOf(configuration: Configuration): Conf {
  const update = (values: Settings): void => {
    configuration.assign(values);
  };
  const read = (name: string | symbol): unknown => {
    if (name === 'update') return update;
    return typeof name === 'string'
      ? (configuration.settings as Readonly<Record<string, unknown>>)[name]
      : undefined;
  };
  return new Proxy<object>(
    {},
    {
      get: (_, name) => read(name),
      set: (_, name, value: unknown) => {
        if (typeof name !== 'string') return false;
        configuration.assign({ [name]: value });
        return true;
      },
      has: (_, name) => name === 'update' || name in configuration.settings,
      ownKeys: () => Object.keys(configuration.settings),
      getOwnPropertyDescriptor: (_, name) =>
        name in configuration.settings
          ? { value: read(name), writable: true, enumerable: true, configurable: true }
          : undefined,
    },
  ) as Conf;
}
