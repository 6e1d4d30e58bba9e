import type { ControlCommand } from './panel.ts';

/** Says that the worker is there. */
export const ping: ControlCommand = {
  name: 'ping',
  kind: 'inspect',
  usage: '',
  run: () => ({ ok: 'pong' }),
};
