import { createLogger } from '../core/logger.ts';
import type { Logger } from '../core/logger.ts';
import type { ResolvedSettings } from '../settings/settings.ts';

/** Where tasks that run in the caller's process log: its standard error, from WARNING on. */
export function eagerLogger(
  settings: Pick<ResolvedSettings, 'worker_log_format' | 'worker_task_log_format'>,
): Logger {
  return createLogger({
    level: 'WARNING',
    format: settings.worker_log_format,
    taskFormat: settings.worker_task_log_format,
    destination: 2,
    processName: 'MainProcess',
    color: false,
  });
}
