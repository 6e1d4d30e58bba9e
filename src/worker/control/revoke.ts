import { constants } from 'node:os';
import { isRecord } from '../../app/option-names.ts';
import { ValueError } from '../../core/errors.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import { placeOf } from './request-info.ts';
import type { Request } from '../request.ts';
import type { ControlArguments, ControlCommand, WorkerView } from './panel.ts';

export const revoke: ControlCommand = {
  name: 'revoke',
  kind: 'control',
  help: 'Have tasks discarded that did not start yet, by id.',
  signature: '[id1 [id2 [... [idN]]]]',
  variadic: 'task_id',
  required: ['task_id'],
  run: revokeIds,
};

export const terminate: ControlCommand = {
  name: 'terminate',
  kind: 'control',
  help: 'End running tasks, with the process they run in, by id.',
  signature: '<signal> [id1 [id2 [... [idN]]]]',
  args: { signal: 'str' },
  variadic: 'task_id',
  required: ['signal', 'task_id'],
  run: (worker, args) => revokeIds(worker, { ...args, terminate: true }),
};

function revokeIds(worker: WorkerView, args: ControlArguments): unknown {
  const { state, logger } = worker;
  const { task_id: given, terminate: ends, signal } = args;
  const name = signalName(signal ?? 'SIGTERM');
  const ids = [...new Set((Array.isArray(given) ? given : [given]).map(String))];
  state.revoke(ids);
  if (ends !== true) {
    logger.info(`Tasks flagged as revoked: ${ids.join(', ')}`);
    return { ok: `tasks ${pythonRepr(new Set(ids))} flagged as revoked` };
  }
  // One that is held for its time is met by the flag when its time comes.
  const found = [...state.reserved].filter(
    (request) => ids.includes(request.id) && placeOf(worker, request) !== 'held',
  );
  for (const request of found) end(worker, request, name);
  return { ok: found.length > 0 ? `terminate: ${unique(found).join(', ')}` : 'terminate: tasks unknown' };
}

export const revokeByStampedHeaders: ControlCommand = {
  name: 'revoke_by_stamped_headers',
  kind: 'control',
  help: 'Have tasks discarded by the headers they were stamped with.',
  signature: '[key1=value1 [key2=value2 [... [keyN=valueN]]]]',
  variadic: 'headers',
  required: ['headers'],
  run(worker, { headers: given, terminate: ends, signal }) {
    const { state, logger } = worker;
    const name = signalName(signal ?? 'SIGTERM');
    const headers = readHeaders(given);
    for (const [header, value] of Object.entries(headers)) state.revokeStamps(header, listOf(value));
    const shown = pythonRepr(headers);
    if (ends !== true) {
      logger.info(`Headers flagged as revoked: ${shown}`);
      return { ok: `headers ${shown} flagged as revoked, but not terminated` };
    }
    const matched = new Map<string, Set<unknown>>();
    // One that a process is about to get is met as well, as by its id.
    for (const request of [...state.reserved]) {
      if (placeOf(worker, request) === 'held') continue;
      for (const [header, value] of Object.entries(headers)) {
        const values = listOf(request.headers.stamps[header]).filter((stamp) =>
          listOf(value).includes(stamp),
        );
        if (values.length === 0) continue;
        matched.set(header, new Set([...(matched.get(header) ?? []), ...values]));
        end(worker, request, name);
      }
    }
    if (matched.size === 0) return { ok: `headers ${shown} were not terminated` };
    return { ok: `headers defaultdict(<class 'set'>, ${pythonRepr(matched)}) revoked` };
  },
};

/** `{ key: value }`, or the words `key=value`. */
function readHeaders(given: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(given)) return given;
  const words = listOf(given).map(String);
  const bad = words.find((word) => !word.includes('='));
  if (bad !== undefined) throw new ValueError(`A header is written key=value, not ${bad}`);
  return Object.fromEntries(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function unique(requests: readonly Request[]): string[] {
  return [...new Set(requests.map((request) => request.id))];
}

/** One that no process has yet is ended as soon as one has it. */
function end({ pool, logger }: WorkerView, request: Request, name: NodeJS.Signals): void {
  logger.info(`Terminating ${request.id} (${constants.signals[name]})`);
  if (!pool.terminate(request.id, name)) request.terminateWith = name;
}

/** A signal by its name, with or without SIG, or by its number. */
function signalName(signal: unknown): NodeJS.Signals {
  const text = String(signal).toUpperCase();
  const found = Object.entries(constants.signals).find(
    ([name, number]) => name === text || name === `SIG${text}` || String(number) === text,
  );
  if (found === undefined) throw new ValueError(`There is no signal ${text}`);
  return found[0] as NodeJS.Signals;
}
