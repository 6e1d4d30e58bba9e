import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script that the server keeps after the first run. */
export class Script {
  readonly #text: string;
  readonly #sha: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha = createHash('sha1').update(text).digest('hex');
  }

  async run(
    client: Redis,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    const all = [keys.length, ...keys, ...args] as const;
    return client.evalsha(this.#sha, ...all).catch((error: unknown) => {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.eval(this.#text, ...all);
    });
  }
}
