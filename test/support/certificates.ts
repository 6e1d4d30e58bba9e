import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of a key and its certificate. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

/**
 * A key of 2048 bits and a certificate that it signed itself, by openssl.
 * @param folders made when they are not there
 * @param subject as openssl takes it: `/O=Example/CN=worker`
 */
export async function makeIdentity(
  folders: { readonly keys: string; readonly certs: string },
  name: string,
  subject: string,
): Promise<Identity> {
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  const identity = { key: join(folders.keys, `${name}.key`), cert: join(folders.certs, `${name}.pem`) };
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-utf8', '-subj', subject];
  await run('openssl', [...request, '-days', '2', '-keyout', identity.key, '-out', identity.cert]);
  return identity;
}
