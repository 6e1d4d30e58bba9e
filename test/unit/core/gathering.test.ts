import { describe, expect, it, vi } from 'vitest';
import { Gathering } from '../../../src/core/gathering.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('Gathering', () => {
  it('does it once for all of a turn when enough have asked', async () => {
    const run = vi.fn();
    const gathering = new Gathering(run);
    gathering.ask(false);
    gathering.ask(true);
    gathering.ask(true);
    expect(run).not.toHaveBeenCalled();
    await turn();
    expect(run).toHaveBeenCalledOnce();
    gathering.ask(true);
    await turn();
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('does it soon for few', async () => {
    const done = new Promise<void>((resolve) => {
      const gathering = new Gathering(resolve);
      gathering.ask(false);
      gathering.ask(false);
    });
    await done;
  });

  it('does it now, and not again for those who had asked; or never', async () => {
    const run = vi.fn();
    const gathering = new Gathering(run);
    gathering.ask(true);
    gathering.now();
    gathering.ask(false);
    gathering.cancel();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(run).toHaveBeenCalledOnce();
  });
});
