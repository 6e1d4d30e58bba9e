import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './ports.ts';

const run = promisify(execFile);

/** The scripts of the package itself: the wrappers in `/usr/sbin` of Debian change the user and the folder. */
const SCRIPT_FOLDERS = ['/usr/lib/rabbitmq/bin', ...(process.env['PATH'] ?? '').split(delimiter)];

function script(name: string): string | undefined {
  return SCRIPT_FOLDERS.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

/** Whether a RabbitMQ is installed here; in CI its absence is an error, not a reason to skip. */
export const hasRabbitmq =
  script('rabbitmq-server') !== undefined || (process.env['CI'] !== undefined && process.env['CI'] !== '');

/** A private RabbitMQ: own ports, own node name, own folder, no plugins. */
export class Rabbitmq implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #epmd: ChildProcess;
  #server: ChildProcess | undefined;
  #output = '';

  private constructor(folder: string, ports: { amqp: number; dist: number; epmd: number }) {
    this.port = ports.amqp;
    this.#folder = folder;
    this.#environment = {
      ...process.env,
      HOME: folder,
      ERL_EPMD_PORT: String(ports.epmd),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `test${String(ports.amqp)}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(ports.amqp),
      RABBITMQ_DIST_PORT: String(ports.dist),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'config'),
      RABBITMQ_SCHEMA_DIR: join(folder, 'schema'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
      // The script then becomes the server, so that signals reach the server itself.
      RUNNING_UNDER_SYSTEMD: '1',
    };
    this.#epmd = spawn('epmd', ['-port', String(ports.epmd), '-address', '127.0.0.1'], {
      env: this.#environment,
      stdio: 'ignore',
    });
  }

  /** Starts a server and waits until it takes connections. */
  static async start(): Promise<Rabbitmq> {
    const folder = await mkdtemp(join(tmpdir(), 'celery-ts-rabbitmq-'));
    await mkdir(join(folder, 'log'));
    await writeFile(join(folder, 'enabled_plugins'), '[].\n');
    await writeFile(join(folder, 'rabbitmq-env.conf'), '');
    await writeFile(join(folder, 'advanced.config'), '[].\n');
    await writeFile(
      join(folder, 'rabbitmq.conf'),
      [
        'log.console = true',
        'log.console.level = info',
        'log.file = false',
        'disk_free_limit.absolute = 1MB',
        '',
      ].join('\n'),
    );
    const [amqp = 0, dist = 0, epmd = 0] = await freePorts(3);
    const server = new Rabbitmq(folder, { amqp, dist, epmd });
    try {
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

  /** URL of a virtual host (default `/`). */
  url(vhost = '/', user = 'guest:guest'): string {
    return `amqp://${user}@127.0.0.1:${String(this.port)}/${encodeURIComponent(vhost)}`;
  }

  /** Starts the server again after `stop` or `kill`; same port, same data. */
  async up(): Promise<void> {
    const command = script('rabbitmq-server');
    if (command === undefined) throw new Error('rabbitmq-server is not installed');
    const server = spawn(command, [], { env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#server = server;
    this.#output = '';
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        this.#output = (this.#output + chunk.toString()).slice(-20_000);
        if (this.#output.includes('Server startup complete')) resolve();
      };
      server.stdout.on('data', read);
      server.stderr.on('data', read);
      server.once('error', reject);
      server.once('exit', (code) => {
        reject(new Error(`rabbitmq-server ended with ${String(code)}:\n${this.#output}`));
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

  /** The server keeps its connections but does nothing any more. */
  freeze(): void {
    this.#server?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#server?.kill('SIGCONT');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.up();
  }

  /** Runs `rabbitmqctl`; slow (about a second), so only for what AMQP itself cannot do. */
  async ctl(...args: string[]): Promise<string> {
    const command = script('rabbitmqctl');
    if (command === undefined) throw new Error('rabbitmqctl is not installed');
    const { stdout } = await run(command, ['-q', ...args], { env: this.#environment });
    return stdout;
  }

  /** Makes an empty virtual host for one test file and returns its URL. */
  async vhost(name: string): Promise<string> {
    await this.ctl('add_vhost', name);
    await this.ctl('set_permissions', '-p', name, 'guest', '.*', '.*', '.*');
    return this.url(name);
  }

  /** Makes a user without any permission. */
  async user(name: string, password: string): Promise<void> {
    await this.ctl('add_user', name, password);
  }

  async closeAllConnections(reason = 'closed by the test'): Promise<void> {
    await this.ctl('close_all_connections', reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await endOf(this.#epmd, 'SIGKILL');
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.kill('SIGCONT');
    await endOf(server, signal);
  }
}

async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}
