import { execFile } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** What the figures depend on: cores, memory, and versions of all that takes part. */
export async function describeMachine(): Promise<string> {
  const cores = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const python = await firstLine('/usr/bin/python3', '--version');
  const celery = await firstLine('/usr/bin/python3', '-c', 'import celery; print(celery.__version__)');
  const redis = /v=(\S+)/.exec(await firstLine('redis-server', '--version'))?.[1] ?? 'none';
  const rabbitmq =
    (await firstLine('dpkg-query', '-W', '-f=${Version}', 'rabbitmq-server')).split('-')[0] ?? '';
  return [
    `${cores.length} cores (${(cores[0]?.model ?? 'unknown').trim()}), ${gigabytes} GiB`,
    `Node ${process.version.slice(1)}, ${python}, Celery ${celery}`,
    `RabbitMQ ${rabbitmq}, Redis ${redis} on the same cores`,
  ].join('; ');
}

/** The load before anything was measured: other work on the machine spoils the figures. */
export function loadWarning(): string | undefined {
  const [load = 0] = loadavg();
  if (load < 0.5) return undefined;
  return `The load of this machine is ${load.toFixed(1)} before anything was measured: the figures will be too low, and noisy.`;
}

async function firstLine(command: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args);
    return (stdout || stderr).trim().split('\n')[0] ?? '';
  } catch {
    return 'none';
  }
}
