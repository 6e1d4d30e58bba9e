import { RuntimeError } from '../../core/errors.ts';
import type { ControlCommand, EventSwitch, WorkerView } from './panel.ts';

export const enableEvents: ControlCommand = {
  name: 'enable_events',
  kind: 'control',
  strict: true,
  help: 'Have the workers send events about their tasks.',
  run(worker) {
    const events = eventsOf(worker);
    if (events.enabled) return { ok: 'task events already enabled' };
    events.enable();
    worker.logger.info('Events of group {task} enabled by remote.');
    return { ok: 'task events enabled' };
  },
};

export const disableEvents: ControlCommand = {
  name: 'disable_events',
  kind: 'control',
  strict: true,
  help: 'Have the workers send no more events about their tasks.',
  run(worker) {
    const events = eventsOf(worker);
    if (!events.enabled) return { ok: 'task events already disabled' };
    events.disable();
    worker.logger.info('Events of group {task} disabled by remote.');
    return { ok: 'task events disabled' };
  },
};

export const heartbeat: ControlCommand = {
  name: 'heartbeat',
  kind: 'control',
  strict: true,
  help: 'Have the workers send a heartbeat event at once.',
  run(worker) {
    worker.logger.debug('Heartbeat requested by remote.');
    eventsOf(worker).heartbeat();
    return null;
  },
};

export const election: ControlCommand = {
  name: 'election',
  kind: 'control',
  help: 'Let the workers elect one of them (gossip).',
  required: ['id', 'topic'],
  run({ events }, { id, topic, action }) {
    events?.elect?.(String(id), String(topic), action);
    return null;
  },
};

function eventsOf({ events }: WorkerView): EventSwitch {
  if (events === undefined) throw new RuntimeError('This worker sends no events.');
  return events;
}
