import { randomUUID } from 'node:crypto';
import { ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import { maskUrl, parseUrl } from '../core/url.ts';
import { REDIS_SCHEMES } from '../redis/address.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import { databasePath } from '../sqlite/url.ts';
import type { Transport } from '../transport/transport.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';
import { disabledBackend } from './disabled.ts';
import { LazyBackend } from './lazy.ts';
import { redisBackendAddress } from './redis/address.ts';

/** How results are kept; from the `result_…` settings. */
export interface BackendOptions {
  /** `result_expires`: seconds; null or 0 keeps results for ever. */
  readonly resultExpiresS: number | null;
  /** `result_serializer`. */
  readonly serializer: string;
  /** `result_accept_content`, or `accept_content` where that is not set. */
  readonly acceptContent: readonly string[];
  /** `result_persistent`: results that are messages survive a restart of the broker. */
  readonly persistent: boolean;
  /** The broker of the app, for results that are messages. */
  readonly transport: () => Transport;
  /** All settings, for those that only one kind of backend reads. */
  readonly settings: ResolvedSettings;
}

/** One kind of backend: its code is loaded on first use. */
interface Scheme {
  readonly can: BackendCapabilities;
  /** Printable URL; throws for one that cannot be used. */
  shown(url: string, options: BackendOptions): string;
  /** Each process has a `reply_to` of its own. */
  readonly replies?: boolean;
  load(url: string, options: BackendOptions, replyTo: string): Promise<ResultBackend>;
}

const RPC: Scheme = {
  can: { results: true, shared: false, crossProcess: false, expires: true, groups: false, chords: false },
  shown: () => 'rpc://',
  replies: true,
  load: async (_url, options, replyTo) => (await import('./rpc.ts')).rpcBackend(options, replyTo),
};

const SQLITE: Scheme = {
  can: { results: true, shared: true, crossProcess: true, expires: true, groups: true, chords: true },
  shown: (url) => {
    databasePath(url);
    return maskUrl(url);
  },
  load: async (url, options) => (await import('./sqlite.ts')).sqliteBackend(url, options),
};

const MEMORY: Scheme = {
  can: { results: true, shared: true, crossProcess: false, expires: true, groups: true, chords: true },
  shown: (url) => url,
  load: async (url, options) => (await import('./memory.ts')).memoryBackend(url, options),
};

const REDIS: Scheme = {
  can: { results: true, shared: true, crossProcess: true, expires: true, groups: true, chords: true },
  shown: (url, { settings }) => redisBackendAddress(url, settings).url,
  load: async (url, options) => (await import('./redis.ts')).redisBackend(url, options),
};

const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['rpc', RPC],
  ...REDIS_SCHEMES.map((scheme) => [scheme, REDIS] as const),
  ['sqlite', SQLITE],
  ['cache+memory', MEMORY],
]);

/**
 * The result backend of a URL (`rpc://`) or of a bare name (`rpc`); undefined is `disabled://`.
 *
 * Opens nothing: the first use does.
 *
 * @throws {@link ImproperlyConfigured} for a URL that cannot be read, or a scheme that is not known
 */
export function connectBackend(url: string | undefined, options: BackendOptions): ResultBackend {
  const wanted = url === undefined || url === '' ? 'disabled://' : url;
  const full = wanted.includes('://') ? wanted : `${wanted}://`;
  // Several Sentinels are joined by semicolons.
  const { scheme } = parseUrl(full.startsWith('sentinel://') ? 'sentinel://' : full);
  if (scheme === 'disabled') return disabledBackend();
  const known = SCHEMES.get(scheme);
  if (known === undefined) throw unknownBackend(scheme);
  const replyTo = known.replies === true ? randomUUID() : undefined;
  const face = { scheme, url: known.shown(full, options), can: known.can, replyTo };
  return new LazyBackend(face, () => known.load(full, options, replyTo ?? ''));
}

function unknownBackend(scheme: string): ImproperlyConfigured {
  if (scheme === 'db+sqlite') {
    return new ImproperlyConfigured(
      'db+sqlite:// is not available: Celery keeps the results of its database backend as Python pickles. ' +
        'Use sqlite:///results.db, which keeps them as text.',
    );
  }
  const known = [...SCHEMES.keys(), 'disabled'];
  return new ImproperlyConfigured(
    `No such result backend: ${scheme}.${didYouMean(scheme, known)} The backends are ${known.join(', ')}.`,
  );
}
