import * as consumers from './consumers.ts';
import * as debug from './debug.ts';
import * as events from './events.ts';
import * as inspect from './inspect.ts';
import type { ControlCommand } from './panel.ts';
import * as pool from './pool.ts';
import * as revoking from './revoke.ts';
import * as stats from './stats.ts';
import * as tasks from './tasks.ts';

/** Celery's remote control commands, sorted by name, for workers and for the command line. */
export const COMMANDS: readonly ControlCommand[] = [
  ...[inspect.active, inspect.activeQueues, consumers.addConsumer, pool.autoscale, consumers.cancelConsumer],
  ...[inspect.clock, stats.conf, events.disableEvents, events.election, events.enableEvents],
  ...[events.heartbeat, inspect.hello, debug.memdump, debug.memsample, debug.objgraph, inspect.ping],
  ...[pool.poolGrow, pool.poolRestart, pool.poolShrink, inspect.queryTask, tasks.rateLimit],
  ...[inspect.registered, debug.report, inspect.reserved, revoking.revoke],
  ...[revoking.revokeByStampedHeaders, inspect.revoked, inspect.scheduled, consumers.shutdown],
  ...[stats.stats, revoking.terminate, tasks.timeLimit],
];
