import { KeyError, ValueError } from '../../core/errors.ts';
import { errorRepr } from '../../message/remote-error.ts';
import type { ControlCommand } from './panel.ts';

/** Limits a type of task from now on: so many runs a second, minute or hour in this worker. */
export const rateLimit: ControlCommand = {
  name: 'rate_limit',
  kind: 'control',
  usage: '<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>',
  required: ['task_name', 'rate_limit'],
  run({ app, holding, logger }, { task_name: task, rate_limit: rate }) {
    if (typeof task !== 'string' || !app.tasks.has(task)) {
      logger.error(`Rate limit attempt for unknown task ${String(task)}`);
      return { error: 'unknown task' };
    }
    if (rate !== null && rate !== undefined && typeof rate !== 'string' && typeof rate !== 'number') {
      return { error: 'Invalid rate limit string: expected text such as 10/m, or a number' };
    }
    const wanted = rate ?? null;
    try {
      holding.limit(task, wanted);
    } catch (error) {
      if (!(error instanceof ValueError || error instanceof KeyError)) throw error;
      return { error: `Invalid rate limit string: ${errorRepr(error)}` };
    }
    if (wanted === null || wanted === '' || wanted === 0) {
      logger.info(`Rate limits disabled for tasks of type ${task}`);
      return { ok: 'rate limit disabled successfully' };
    }
    logger.info(`New rate limit for tasks of type ${task}: ${wanted}.`);
    return { ok: 'new rate limit set successfully' };
  },
};
