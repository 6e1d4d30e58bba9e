import { constants } from 'node:os';
import { ValueError } from '../../core/errors.ts';
import type { ControlCommand } from './panel.ts';

/** Tasks that must not run here any more; with `terminate`, one that runs here is ended with its process. */
export const revoke: ControlCommand = {
  name: 'revoke',
  kind: 'control',
  usage: '[id1 [id2 [... [idN]]]]',
  required: ['task_id'],
  run({ state, pool, logger }, { task_id: given, terminate, signal }) {
    const ids = (Array.isArray(given) ? given : [given]).map(String);
    for (const id of ids) state.revoked.add(id);
    if (terminate !== true) {
      logger.info(`Tasks flagged as revoked: ${ids.join(', ')}`);
      return { ok: `tasks {${ids.map((id) => `'${id}'`).join(', ')}} flagged as revoked` };
    }
    const name = signalName(signal ?? 'SIGTERM');
    const found = ids.filter((id) => [...state.reserved].some((request) => request.id === id));
    for (const id of found) {
      logger.info(`Terminating ${id} (${constants.signals[name]})`);
      pool.terminate(id, name);
    }
    return { ok: found.length > 0 ? `terminate: ${found.join(', ')}` : 'terminate: tasks unknown' };
  },
};

/** A signal by its name, with or without SIG, or by its number. */
function signalName(signal: unknown): NodeJS.Signals {
  const text = String(signal).toUpperCase();
  const found = Object.entries(constants.signals).find(
    ([name, number]) => name === text || name === `SIG${text}` || String(number) === text,
  );
  if (found === undefined) throw new ValueError(`There is no signal ${text}`);
  return found[0] as NodeJS.Signals;
}
