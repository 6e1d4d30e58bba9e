import { boolean, nullable, object, textOrTexts, timeZone } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Settings of the app as a whole. */
export interface GeneralSettings {
  /**
   * Content types or serializer names that are read; messages of others are refused.
   *
   * @defaultValue `['json']`
   */
  accept_content: readonly string[];
  /**
   * The same for results; `null` follows `accept_content`.
   *
   * @defaultValue `null`
   */
  result_accept_content: readonly string[] | null;
  /**
   * Dates in messages are UTC; off means the local time zone.
   *
   * @defaultValue `true`
   */
  enable_utc: boolean;
  /**
   * Modules with tasks that the worker imports when it starts.
   *
   * @defaultValue `[]`
   */
  imports: readonly string[];
  /**
   * Further modules with tasks, besides `imports`; also given by `-I`.
   *
   * @defaultValue `[]`
   */
  include: readonly string[];
  /**
   * Time zone for dates and crontabs, such as `Europe/Oslo`; `null` is UTC with `enable_utc`, else the local one.
   *
   * @defaultValue `null`
   */
  timezone: string | null;
  /**
   * Class path for each result backend alias.
   *
   * @defaultValue `{}`
   */
  override_backends: Readonly<Record<string, unknown>>;
}

export const generalTable: Table<GeneralSettings> = {
  accept_content: { kind: textOrTexts, default: ['json'], oldName: 'CELERY_ACCEPT_CONTENT' },
  result_accept_content: { kind: nullable(textOrTexts), default: null, oldName: 'RESULT_ACCEPT_CONTENT' },
  enable_utc: { kind: boolean, default: true, oldName: 'ENABLE_UTC' },
  imports: { kind: textOrTexts, default: [], oldName: 'CELERY_IMPORTS' },
  include: { kind: textOrTexts, default: [], oldName: 'CELERY_INCLUDE' },
  timezone: { kind: nullable(timeZone), default: null, oldName: 'CELERY_TIMEZONE' },
  override_backends: { kind: object, default: {}, oldName: null, later: true },
};
