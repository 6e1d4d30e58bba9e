import { describe, expect, it } from 'vitest';
import { Celery } from '../../../src/app/celery.ts';
import { currentContext } from '../../../src/app/context.ts';
import type { TaskContext } from '../../../src/app/request.ts';
import { Retry } from '../../../src/core/errors.ts';

describe('a bound task that is called as a plain function', () => {
  const app = new Celery('test');
  const call = (run: (self: TaskContext) => unknown) => {
    const task = app.task(`tasks.direct_${String(app.tasks.size)}`, { bind: true }, run);
    return task();
  };

  it('knows that it is, and has a signal and a logger that do nothing', () => {
    const seen = call((self) => {
      self.logger.info('nobody reads this');
      return [self.request.calledDirectly, self.request.retries, self.signal.aborted, currentContext()];
    });
    expect(seen).toEqual([true, 0, false, undefined]);
  });

  it('throws a Retry, or the error it was to be retried for', () => {
    expect(() => call((self) => self.retry())).toThrow(Retry);
    const exc = new RangeError('x');
    expect(() => call((self) => self.retry({ exc, countdown: 5 }))).toThrow(exc);
  });

  it('stores its states nowhere', async () => {
    await expect(call((self) => self.updateState('PROGRESS', { current: 1 }))).resolves.toBeUndefined();
  });
});
