import type { WorkerStats } from '../../app/control-replies.ts';
import { parseUrl, splitUrls } from '../../core/url.ts';
import { maskSecrets } from '../../settings/mask.ts';
import { changedSettings } from '../../settings/resolve.ts';
import type { ResolvedSettings } from '../../settings/settings.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import type { ControlCommand, WorkerView } from './panel.ts';

export const stats: ControlCommand = {
  name: 'stats',
  kind: 'inspect',
  help: 'Show counts, the pool, the broker and the resources used.',
  run: statsOf,
};

/** Everything there is to count about a worker. */
export function statsOf(worker: WorkerView): WorkerStats {
  const { app, state, pool, prefetch, autoscaler, startedMs } = worker;
  const { task_soft_time_limit: soft, task_time_limit: hard } = app.settings;
  return {
    total: Object.fromEntries(state.totals),
    pid: process.pid,
    clock: String(app.clock.value),
    uptime: Math.floor((Date.now() - startedMs) / 1000),
    pool: { implementation: `celery-ts:${pool.name}`, timeouts: [soft ?? 0, hard ?? 0], ...pool.stats() },
    broker: brokerInfo(app.settings),
    prefetch_count: prefetch.count,
    rusage: resourceUsage(),
    ...(autoscaler !== undefined && { autoscaler: autoscaler.info() }),
  };
}

/** Ports that a URL need not name. */
const PORTS: Readonly<Record<string, number>> = { amqp: 5672, amqps: 5671, redis: 6379, rediss: 6379 };

/** The broker as kombu describes a connection, without the password. */
function brokerInfo(settings: ResolvedSettings): Record<string, unknown> {
  const [url = 'amqp://guest@localhost//', ...alternates] = splitUrls(settings.broker_url ?? []);
  const { scheme, user, host, port, path } = parseUrl(url);
  const isAmqp = /^(py)?amqps?$/.test(scheme);
  const transport = isAmqp ? 'amqp' : scheme;
  return {
    hostname: host ?? null,
    userid: user ?? null,
    virtual_host: isAmqp && path === '' ? '/' : safeDecode(path),
    port: port ?? PORTS[scheme.replace(/^py/, '')] ?? null,
    insist: false,
    ssl: scheme.endsWith('amqps') || scheme === 'rediss' || settings.broker_use_ssl !== false,
    transport,
    connect_timeout: settings.broker_connection_timeout,
    transport_options: maskSecrets(settings.broker_transport_options),
    login_method: isAmqp ? 'PLAIN' : null,
    uri_prefix: scheme.startsWith('sqla+') ? 'sqla' : null,
    heartbeat: settings.broker_heartbeat,
    failover_strategy: settings.broker_failover_strategy ?? 'round-robin',
    alternates: Object.values(maskSecrets(Object.fromEntries(alternates.entries()))),
    credential_provider: null,
  };
}

function safeDecode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // A lone % is meant as itself.
    return path;
  }
}

/** `getrusage` of this process, by the names of the C structure. */
function resourceUsage(): Record<string, number> {
  const usage = process.resourceUsage();
  return {
    utime: usage.userCPUTime / 1e6,
    stime: usage.systemCPUTime / 1e6,
    maxrss: usage.maxRSS,
    ixrss: usage.sharedMemorySize,
    idrss: usage.unsharedDataSize,
    isrss: usage.unsharedStackSize,
    minflt: usage.minorPageFault,
    majflt: usage.majorPageFault,
    nswap: usage.swappedOut,
    inblock: usage.fsRead,
    oublock: usage.fsWrite,
    msgsnd: usage.ipcSent,
    msgrcv: usage.ipcReceived,
    nsignals: usage.signalsCount,
    nvcsw: usage.voluntaryContextSwitches,
    nivcsw: usage.involuntaryContextSwitches,
  };
}

export const conf: ControlCommand = {
  name: 'conf',
  alias: 'dump_conf',
  kind: 'inspect',
  help: 'Show the settings that differ from their defaults, or all of them. Secrets are masked.',
  signature: '[include_defaults=False]',
  args: { with_defaults: 'bool' },
  run({ app }, { with_defaults: all }) {
    const changed = changedSettings(app.settingsLayers);
    // As given, not as read: what stands in the configuration is what its reader knows.
    const values = all === true ? { ...app.settings, ...changed } : changed;
    return plain(maskSecrets(values));
  },
};

/** Values that JSON can hold; others as text. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : pythonRepr(value);
  if (typeof value === 'function') return `<function ${value.name}>`;
  if (typeof value !== 'object') return pythonRepr(value);
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== Object.prototype && prototype !== null) return pythonRepr(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
