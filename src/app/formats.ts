import { ImproperlyConfigured } from '../core/errors.ts';
import { acceptedTypes, structuredSerializer } from '../message/registry.ts';
import type { ResolvedSettings } from '../settings/settings.ts';

/**
 * Checks that there are serializers of the names in the settings, and that they can write what the setting is about.
 * @throws {ImproperlyConfigured} naming the setting
 */
export function checkFormats(settings: ResolvedSettings): void {
  const { task_serializer, result_serializer, event_serializer } = settings;
  for (const [setting, name] of Object.entries({ task_serializer, result_serializer, event_serializer })) {
    check(setting, () => structuredSerializer(name));
  }
  const { accept_content, result_accept_content } = settings;
  check('accept_content', () => acceptedTypes(accept_content));
  check('result_accept_content', () => acceptedTypes(result_accept_content ?? []));
}

/** @param what - is named in front of what is wrong with it */
export function check(what: string, look: () => unknown): void {
  try {
    look();
  } catch (error) {
    if (!(error instanceof ImproperlyConfigured)) throw error;
    throw new ImproperlyConfigured(`${what}: ${error.message}`, { cause: error });
  }
}
