import { ImproperlyConfigured } from '../../core/errors.ts';
import type { ExchangeType } from '../topology.ts';

/** One line of an exchange's table: what reaches `queue`. */
export interface BindingRow {
  readonly routingKey: string;
  readonly queue: string;
}

const ROUTES: Readonly<Record<string, (bindingKey: string, routingKey: string) => boolean>> = {
  direct: (bindingKey, routingKey) => bindingKey === routingKey,
  topic: topicMatches,
  fanout: () => true,
};

/**
 * Refuses exchange types that brokers without AMQP do not have.
 *
 * @throws {ImproperlyConfigured}
 */
export function checkExchangeType(name: string, type: ExchangeType): void {
  if (Object.hasOwn(ROUTES, type)) return;
  throw new ImproperlyConfigured(
    `exchange '${name}': this broker has no exchanges of type '${type}', only ${Object.keys(ROUTES).join(', ')}`,
  );
}

/** The queues that a message reaches, each once. */
export function route(type: ExchangeType, bindings: readonly BindingRow[], routingKey: string): Set<string> {
  const reaches = ROUTES[type];
  const queues = new Set<string>();
  for (const binding of bindings) {
    if (reaches?.(binding.routingKey, routingKey)) queues.add(binding.queue);
  }
  return queues;
}

/** AMQP's topic rule: words between dots, `*` stands for one word, `#` for any number of them, none included. */
export function topicMatches(pattern: string, routingKey: string): boolean {
  return wordsMatch(pattern.split('.'), routingKey.split('.'));
}

/** Walks both once, going back only to the latest `#`: no pattern of a user can make it slow. */
function wordsMatch(pattern: readonly string[], words: readonly string[]): boolean {
  let [at, word] = [0, 0];
  let latest: { readonly at: number; word: number } | undefined;
  while (word < words.length) {
    if (pattern[at] === '#') {
      latest = { at, word };
      at += 1;
    } else if (at < pattern.length && (pattern[at] === '*' || pattern[at] === words[word])) {
      at += 1;
      word += 1;
    } else if (latest) {
      latest.word += 1;
      [at, word] = [latest.at + 1, latest.word];
    } else return false;
  }
  while (pattern[at] === '#') at += 1;
  return at === pattern.length;
}
