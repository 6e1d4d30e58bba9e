import { signatureJson } from '../canvas/signature.ts';
import type { SignatureLike, SignatureOptions } from '../canvas/signature.ts';
import { isoUtc } from '../core/time.ts';
import type { SignatureJson } from '../message/message.ts';
import { isCallOption } from './call-options.ts';
import { toCamelCase, toSnakeCase } from './option-names.ts';
import type { ApplyOptions } from './options.ts';

/** Options of a call as a signature holds them: Celery's names, values that every serializer can write. */
export function toSignatureOptions(options: ApplyOptions): SignatureOptions {
  const { link, linkError, stamps, queue, retryPolicy, ...plain } = options;
  const entries = Object.entries(plain).filter(([name]) => name !== 'signal' && name !== 'kwargs');
  return {
    ...Object.fromEntries(entries.map(([name, value]) => [toSnakeCase(name), plainValue(value)])),
    ...(queue !== undefined && { queue: typeof queue === 'string' ? queue : queue.name }),
    ...(retryPolicy !== undefined && { retry_policy: renamed(retryPolicy, toSnakeCase) }),
    ...(link !== undefined && { link: signatureList(link) }),
    ...(linkError !== undefined && { link_error: signatureList(linkError) }),
    ...(stamps !== undefined && { stamped_headers: Object.keys(stamps), ...stamps }),
  };
}

/**
 * Options of a signature as those of a call here. What a call does not take, as a signature of another version may hold it, is
 * left out.
 */
export function toApplyOptions(options: SignatureOptions): ApplyOptions {
  const { stamped_headers: stamped, retry_policy: retryPolicy } = options;
  const entries = Object.entries(options)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => [toCamelCase(name), value] as const)
    .filter(([name]) => isCallOption(name) && name !== 'retryPolicy');
  return {
    ...Object.fromEntries(entries),
    ...(isRecord(retryPolicy) && { retryPolicy: renamed(retryPolicy, toCamelCase) }),
    ...(Array.isArray(stamped) && { stamps: stampsOf(stamped, options) }),
  };
}

/** The JSON forms of one signature or several. */
export function signatureList(value: SignatureLike | readonly SignatureLike[]): readonly SignatureJson[] {
  return (Array.isArray(value) ? (value as readonly SignatureLike[]) : [value as SignatureLike]).map(
    signatureJson,
  );
}

function stampsOf(names: readonly unknown[], options: SignatureOptions): Readonly<Record<string, unknown>> {
  return Object.fromEntries(names.map((name) => [String(name), options[String(name)]]));
}

function plainValue(value: unknown): unknown {
  return value instanceof Date ? isoUtc(value) : value;
}

function renamed(record: object, rename: (name: string) => string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [rename(name), value as unknown]));
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
