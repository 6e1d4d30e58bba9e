import type { Redis } from 'ioredis';

/** What has to be known of a server before it is used. */
export interface ServerFacts {
  /** Such as `[7, 0, 15]`. */
  readonly version: readonly [number, number, number];
  /** `master` or `slave`; undefined where the user may not know. */
  readonly role: string | undefined;
}

/** The first version that has users who may not do everything. */
const FIRST_WITH_USERS = [6, 0, 0] as const;

/**
 * Asks a server what it is.
 *
 * INFO tells, but counts as dangerous, and many keep their users from such commands; HELLO and PING tell them.
 *
 * @throws {Error} the server's own words, `LOADING …` when it is not ready yet
 */
export async function serverFacts(client: Redis): Promise<ServerFacts> {
  try {
    return factsOf(String(await client.call('INFO')));
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
  }
  const [hello] = await Promise.all([permitted(client.call('HELLO')), permitted(client.call('PING'))]);
  const fields = new Map(pairs(Array.isArray(hello) ? hello : []));
  const version = versionOf(fields.get('version') ?? '');
  return { version: version ?? FIRST_WITH_USERS, role: fields.get('role') };
}

function factsOf(info: string): ServerFacts {
  if (/^loading:1/m.test(info)) throw new Error('LOADING Redis is loading the dataset in memory');
  const version = versionOf(/^redis_version:(.*)/m.exec(info)?.[1] ?? '') ?? [0, 0, 0];
  return { version, role: /^role:(\w+)/m.exec(info)?.[1] };
}

function versionOf(text: string): ServerFacts['version'] | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** The reply, or undefined where the user may not ask. */
async function permitted(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply;
  } catch (error) {
    if (isNotPermitted(error)) return undefined;
    throw error;
  }
}

function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOPERM');
}

function pairs(flat: readonly unknown[]): [string, string][] {
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[String(name), String(flat[at + 1])]] : []));
}
