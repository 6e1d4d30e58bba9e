import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const ROOT = join(import.meta.dirname, '../..');
/** Where the peers from npm are kept: never among the package's own dependencies. */
export const PEERS_FOLDER = join(ROOT, 'node_modules/.cache/bench');
const PACKAGES = { bullmq: '6.7.0', 'celery-node': '0.5.9' };

interface Connection {
  readonly url: string;
}

/** The part of BullMQ that the bench itself uses. */
interface Bullmq {
  readonly Queue: new (
    name: string,
    options: { connection: Connection },
  ) => {
    addBulk(jobs: readonly { name: string; data: unknown; opts: object }[]): Promise<unknown>;
    close(): Promise<void>;
  };
}

/** Installs the peers, once. */
export async function installPeers(log: (line: string) => void): Promise<void> {
  const wanted = JSON.stringify({ private: true, dependencies: PACKAGES });
  const file = join(PEERS_FOLDER, 'package.json');
  const mark = join(PEERS_FOLDER, 'installed.json');
  if (textOf(mark) === wanted) return;
  log(`installing ${Object.keys(PACKAGES).join(' and ')} into node_modules/.cache/bench`);
  mkdirSync(PEERS_FOLDER, { recursive: true });
  writeFileSync(file, wanted);
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await promisify(execFile)('npm', ['install', ...flags], { cwd: PEERS_FOLDER });
  writeFileSync(mark, wanted);
}

export function bullmq(): Promise<Bullmq> {
  const load = createRequire(join(PEERS_FOLDER, 'package.json'));
  return Promise.resolve(load('bullmq') as Bullmq);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
