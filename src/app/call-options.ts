import { didYouMean } from '../core/nearest.ts';
import { toCamelCase } from './option-names.ts';
import type { ApplyOptions } from './options.ts';

const NAMES: { readonly [Name in keyof ApplyOptions]-?: true } = {
  ...{ kwargs: true, countdown: true, eta: true, expires: true, taskId: true, retries: true, signal: true },
  ...{ rootId: true, parentId: true, groupId: true, groupIndex: true, replacedTaskNesting: true },
  ...{ chain: true, chord: true, link: true, linkError: true, addToParent: true, stamps: true },
  ...{ retry: true, retryPolicy: true, queue: true, exchange: true, routingKey: true, priority: true },
  ...{ serializer: true, compression: true, deliveryMode: true, headers: true, replyTo: true, shadow: true },
  ...{ timeLimit: true, softTimeLimit: true, ignoreResult: true, argsrepr: true, kwargsrepr: true },
};

export function isCallOption(name: string): name is keyof ApplyOptions {
  return Object.hasOwn(NAMES, name);
}

/**
 * Refuses options that no call has, for callers that no compiler has checked: a misspelt `countdown` would run at once.
 * @throws {TypeError}
 */
export function checkCallOptions(method: string, options: ApplyOptions): void {
  for (const name of Object.keys(options)) {
    if (isCallOption(name)) continue;
    throw new TypeError(
      `${method}() has no option '${name}'.${didYouMean(toCamelCase(name), Object.keys(NAMES))}`,
    );
  }
}
