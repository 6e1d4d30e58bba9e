import { ValueError } from './errors.ts';

const DEFAULT_NAME = 'celery';

/** The part before `@` (`undefined` without one) and the host after it. */
export function splitNodename(nodename: string): { name: string | undefined; host: string } {
  const at = nodename.indexOf('@');
  if (at === -1) return { name: undefined, host: nodename };
  return { name: nodename.slice(0, at), host: nodename.slice(at + 1) };
}

/**
 * The full name of a worker from its `-n` option and the name of its host.
 *
 * `foo` is the host of `celery@foo`, `w1@` takes the host's name; `%h` is the host's name, `%n` its first label, `%d` the
 * rest.
 *
 * @throws ValueError for another `%x`.
 */
export function nodename(option: string | undefined, host: string): string {
  const given = splitNodename(option ?? '');
  const pattern = `${given.name === undefined || given.name === '' ? DEFAULT_NAME : given.name}@${given.host === '' ? host : given.host}`;
  const { label, domain } = splitHost(host);
  return substitute(pattern, { h: host, n: label, d: domain, i: '0', I: '' });
}

export interface NodenameContext {
  /** Full name, `w1@host.example.com`. */
  readonly nodename: string;
  /** Number of the child process; 0 or absent in the main process. */
  readonly index?: number | undefined;
}

/**
 * Fills in the name of a log or pid file: `%n` and `%h` the parts of the node name, `%d` the host's domain, `%p` the whole
 * name, `%i` the number of the child process (0 in the main process), `%I` the same as `-1` (empty in the main process).
 *
 * @throws ValueError for another `%x`.
 */
export function expand(format: string, context: NodenameContext): string {
  const { name, host } = splitNodename(context.nodename);
  const index = context.index ?? 0;
  return substitute(format, {
    h: host,
    n: name === undefined || name === '' ? DEFAULT_NAME : name,
    d: splitHost(host).domain,
    i: String(index),
    I: index === 0 ? '' : `-${index}`,
    p: context.nodename,
  });
}

function splitHost(host: string): { label: string; domain: string } {
  const dot = host.indexOf('.');
  return dot === -1
    ? { label: host, domain: '' }
    : { label: host.slice(0, dot), domain: host.slice(dot + 1) };
}

function substitute(format: string, values: Readonly<Record<string, string>>): string {
  return format.replace(/%(\w)/g, (_, letter: string) => {
    const value = values[letter];
    if (value !== undefined) return value;
    const known = Object.keys(values)
      .map((key) => `%${key}`)
      .join(', ');
    throw new ValueError(`Unknown format %${letter} in string '${format}'. It may hold ${known}.`);
  });
}
