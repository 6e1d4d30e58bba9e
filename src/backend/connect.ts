import { ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import { parseUrl } from '../core/url.ts';
import type { Transport } from '../transport/transport.ts';
import type { ResultBackend } from './backend.ts';
import { disabledBackend } from './disabled.ts';
import { memoryBackend } from './memory.ts';
import { rpcBackend } from './rpc.ts';
import { sqliteBackend } from './sqlite.ts';

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
}

const BACKENDS: ReadonlyMap<string, (url: string, options: BackendOptions) => ResultBackend> = new Map([
  ['rpc', (_url: string, options: BackendOptions) => rpcBackend(options)],
  ['sqlite', sqliteBackend],
  ['cache+memory', memoryBackend],
  ['disabled', disabledBackend],
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
  const { scheme } = parseUrl(full);
  const make = BACKENDS.get(scheme);
  if (make === undefined) throw unknownBackend(scheme);
  return make(full, options);
}

function unknownBackend(scheme: string): ImproperlyConfigured {
  if (scheme === 'db+sqlite') {
    return new ImproperlyConfigured(
      'db+sqlite:// is not available: Celery keeps the results of its database backend as Python pickles. ' +
        'Use sqlite:///results.db, which keeps them as text.',
    );
  }
  const known = [...BACKENDS.keys()];
  return new ImproperlyConfigured(
    `No such result backend: ${scheme}.${didYouMean(scheme, known)} The backends are ${known.join(', ')}.`,
  );
}
