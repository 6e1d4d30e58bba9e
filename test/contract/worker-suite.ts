import { describe } from 'vitest';
import { badMessagesContract } from './worker/bad-messages.ts';
import { lifeContract } from './worker/life.ts';
import { Place, type WorkerBroker } from './worker/place.ts';
import { remoteControlContract } from './worker/remote-control.ts';
import { tasksContract } from './worker/tasks.ts';

/** What every worker must do over every broker that can hold tasks. */
export function workerContract(name: string, makeBroker: () => Promise<WorkerBroker>): void {
  describe(`a worker over ${name}`, () => {
    const at = new Place(makeBroker);
    tasksContract(at);
    remoteControlContract(at);
    badMessagesContract(at);
    lifeContract(at);
  });
}
