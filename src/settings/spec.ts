import type { Kind } from './kinds.ts';

/** What is known about one setting, apart from its description, which stands where an editor shows it. */
export interface SettingSpec<out Value = unknown> {
  readonly kind: Kind<Value>;
  readonly default: Value;
  /** Its upper-case name before Celery 4, if it had one. */
  readonly oldName: string | null;
  /** The version of Celery that brought it, when later than 5.2. */
  readonly since?: string;
  /** Nothing reads it yet: setting it has no effect. */
  readonly later?: boolean;
}

/** One row for each setting of a group, of the type that the group's interface says. */
export type Table<Group> = { readonly [Name in keyof Group]-?: SettingSpec<Group[Name]> };
