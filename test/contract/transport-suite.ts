import { describe } from 'vitest';
import { administrationContract } from './transport/administration.ts';
import { consumersContract } from './transport/consumers.ts';
import { lifeContract } from './transport/life.ts';
import { messagesContract } from './transport/messages.ts';
import { Place, type TransportFixture } from './transport/place.ts';
import { queuesContract } from './transport/queues.ts';
import { routingContract } from './transport/routing.ts';
import { settlingContract } from './transport/settling.ts';

/**
 * What every Transport must do.
 *
 * @param setup starts the broker, once for the whole suite; queues have names of their own in each test
 */
export function transportContract(name: string, setup: () => Promise<TransportFixture>): void {
  describe(`transport contract: ${name}`, () => {
    const at = new Place(setup);
    queuesContract(at);
    messagesContract(at);
    routingContract(at);
    settlingContract(at);
    consumersContract(at);
    lifeContract(at);
    administrationContract(at);
  });
}
