import type { ResultTuple } from '../../src/message/outcome.ts';
import type { BackendOptions } from '../../src/backend/connect.ts';
import { resolveSettings } from '../../src/settings/resolve.ts';
import type { Settings } from '../../src/settings/settings.ts';

/** Options of a result backend as an app without a configuration gives them; `settings` are those that differ. */
export function backendOptions(
  options: Partial<Omit<BackendOptions, 'settings'>> = {},
  settings: Settings = {},
): BackendOptions {
  return {
    resultExpiresS: 86_400,
    serializer: 'json',
    acceptContent: ['json'],
    persistent: false,
    transport: () => {
      throw new Error('This backend needs no broker');
    },
    settings: resolveSettings([{ origin: 'test', values: settings }]),
    ...options,
  };
}

/** A saved group whose members are tasks. */
export function groupOf(groupId: string, ...taskIds: readonly string[]): ResultTuple {
  return [[groupId, null], taskIds.map((id) => [[id, null], null])];
}
