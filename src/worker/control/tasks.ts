import { KeyError, ValueError } from '../../core/errors.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import { errorRepr } from '../../message/remote-error.ts';
import type { ControlCommand } from './panel.ts';

export const rateLimit: ControlCommand = {
  name: 'rate_limit',
  kind: 'control',
  help: 'Change how often a task may start, on each worker.',
  signature: '<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>',
  args: { task_name: 'str', rate_limit: 'str' },
  required: ['task_name', 'rate_limit'],
  run({ app, holding, state, logger }, { task_name: task, rate_limit: rate }) {
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
    state.change(task, { rateLimit: wanted });
    if (wanted === null || wanted === '' || wanted === 0) {
      logger.info(`Rate limits disabled for tasks of type ${task}`);
      return { ok: 'rate limit disabled successfully' };
    }
    logger.info(`New rate limit for tasks of type ${task}: ${wanted}.`);
    return { ok: 'new rate limit set successfully' };
  },
};

export const timeLimit: ControlCommand = {
  name: 'time_limit',
  kind: 'control',
  help: 'Change the time limits of a task, on each worker; a limit that is left out is lifted.',
  signature: '<task_name> <soft_secs> [hard_secs]',
  args: { task_name: 'str', soft: 'float', hard: 'float' },
  run({ app, state, logger }, { task_name: task, soft, hard }) {
    if (typeof task !== 'string' || !app.tasks.has(task)) {
      logger.error(`Change of time limits of an unknown task ${String(task)}`);
      return { error: 'unknown task' };
    }
    const limits = { softTimeLimit: secondsOf('soft', soft), timeLimit: secondsOf('hard', hard) };
    state.change(task, limits);
    logger.info(
      `New time limits for tasks of type ${task} - soft=${limits.softTimeLimit ?? 'none'} hard=${limits.timeLimit ?? 'none'}`,
    );
    return { ok: 'time limits set successfully' };
  },
};

function secondsOf(name: string, value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 0) {
    throw new ValueError(`${name} takes seconds, not ${pythonRepr(value)}`);
  }
  return seconds;
}
