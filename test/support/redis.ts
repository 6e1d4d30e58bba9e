import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './ports.ts';

const run = promisify(execFile);

const command = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'redis-server'))
  .find((file) => existsSync(file));

/** Whether a Redis is installed here; in CI its absence is an error, not a reason to skip. */
export const hasRedis =
  command !== undefined || (process.env['CI'] !== undefined && process.env['CI'] !== '');

export interface RedisServerOptions {
  /** Password of the user `default`. */
  readonly password?: string;
  /** Also listens with TLS on a second port; the certificates are made with openssl. */
  readonly tls?: boolean;
  /** Keeps what it holds over `kill` and `up`. */
  readonly persistent?: boolean;
  /** Runs as a Sentinel, with this line of configuration, such as `sentinel monitor mymaster 127.0.0.1 6379 1`. */
  readonly sentinel?: string;
  /** Further arguments, such as `--maxmemory 1mb`. */
  readonly args?: readonly string[];
}

/** A private Redis: own port, own socket, own folder. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly tlsPort: number;
  readonly folder: string;
  readonly #options: RedisServerOptions;
  #server: ChildProcess | undefined;
  #output = '';

  private constructor(folder: string, ports: readonly number[], options: RedisServerOptions) {
    [this.port = 0, this.tlsPort = 0] = ports;
    this.folder = folder;
    this.#options = options;
  }

  /** Starts a server and waits until it takes connections. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), 'celery-ts-redis-'));
    const server = new RedisServer(folder, await freePorts(2), options);
    try {
      if (options.tls === true) await server.#makeCertificates();
      if (options.sentinel !== undefined) {
        await writeFile(join(folder, 'sentinel.conf'), `${options.sentinel}\n`);
      }
      await server.up();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** Of the running server. */
  get pid(): number | undefined {
    return this.#server?.pid;
  }

  get socketPath(): string {
    return join(this.folder, 'redis.sock');
  }

  /** The certificate of the authority that signed the server's; `client.crt` and `client.key` beside it are a client's. */
  get caFile(): string {
    return join(this.folder, 'ca.crt');
  }

  /** URL of a database. */
  url(db = 0): string {
    return `redis://${this.#who}127.0.0.1:${String(this.port)}/${String(db)}`;
  }

  tlsUrl(db = 0): string {
    return `rediss://${this.#who}127.0.0.1:${String(this.tlsPort)}/${String(db)}`;
  }

  socketUrl(db = 0): string {
    return `redis+socket://${this.#who}${this.socketPath}?virtual_host=${String(db)}`;
  }

  /** Starts the server again after `stop` or `kill`; same port, and the same data when it is persistent. */
  async up(): Promise<void> {
    if (command === undefined) throw new Error('redis-server is not installed');
    const server = spawn(command, this.#arguments(), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#server = server;
    this.#output = '';
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        this.#output = (this.#output + chunk.toString()).slice(-20_000);
        if (/Ready to accept connections|Sentinel ID is/.test(this.#output)) resolve();
      };
      server.stdout.on('data', read);
      server.stderr.on('data', read);
      server.once('error', reject);
      server.once('exit', (code) => {
        reject(new Error(`redis-server ended with ${String(code)}:\n${this.#output}`));
      });
    });
  }

  /** Ends the server in good order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends the server as a power failure does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.up();
  }

  /** The server keeps its connections but does nothing any more. */
  freeze(): void {
    this.#server?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#server?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #who(): string {
    const { password } = this.#options;
    return password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  }

  #arguments(): string[] {
    const { password, tls, persistent, sentinel, args = [] } = this.#options;
    const file = (name: string): string => join(this.folder, name);
    if (sentinel !== undefined) {
      return [file('sentinel.conf'), '--sentinel', '--port', String(this.port), '--bind', '127.0.0.1'];
    }
    return [
      ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder],
      ...['--unixsocket', this.socketPath, '--save', '', '--daemonize', 'no'],
      ...(persistent === true ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []),
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...(tls === true
        ? [
            ...['--tls-port', String(this.tlsPort), '--tls-auth-clients', 'optional'],
            ...['--tls-ca-cert-file', this.caFile],
            ...['--tls-cert-file', file('server.crt'), '--tls-key-file', file('server.key')],
          ]
        : []),
      ...args,
    ];
  }

  async #makeCertificates(): Promise<void> {
    const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { cwd: this.folder });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-subj',
      '/CN=test authority',
    );
    for (const name of ['server', 'client']) {
      await openssl(
        ...['req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.crt`],
        ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
        ...['-CA', 'ca.crt', '-CAkey', 'ca.key', '-addext', 'basicConstraints=critical,CA:FALSE'],
      );
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.kill('SIGCONT');
    if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill(signal);
    await ended;
  }
}
