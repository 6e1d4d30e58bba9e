import type { ControlCommand } from './panel.ts';
import { NO_REPLY } from './panel.ts';

export const addConsumer: ControlCommand = {
  name: 'add_consumer',
  kind: 'control',
  help: 'Consume one queue more.',
  signature: '<queue> [exchange [type [routing_key]]]',
  args: { queue: 'str', exchange: 'str', exchange_type: 'str', routing_key: 'str' },
  required: ['queue'],
  run({ app, consumer, logger }, { queue: name, ...properties }) {
    const queue = app.queues.take(String(name), properties);
    // The answer does not wait for the broker, as in Celery.
    consumer.addQueue(queue).then(
      () => logger.info(`Started consuming from ${queue.name}`),
      (error: unknown) => logger.error(`Cannot consume from queue ${queue.name}`, error),
    );
    return { ok: `add consumer ${String(name)}` };
  },
};

export const cancelConsumer: ControlCommand = {
  name: 'cancel_consumer',
  kind: 'control',
  help: 'Consume a queue no more.',
  signature: '<queue>',
  args: { queue: 'str' },
  required: ['queue'],
  run({ app, consumer, logger }, { queue }) {
    const name = String(queue);
    logger.info(`Canceling queue ${name}`);
    app.queues.deselect([name]);
    consumer.cancelQueue(name).catch((error: unknown) => {
      logger.error(`The subscription to queue ${name} could not be ended`, error);
    });
    return { ok: `no longer consuming from ${name}` };
  },
};

export const shutdown: ControlCommand = {
  name: 'shutdown',
  kind: 'control',
  help: 'Shut the workers down warmly. They do not answer.',
  run(worker, { msg }) {
    worker.logger.warning(typeof msg === 'string' ? msg : 'Got shutdown from remote');
    worker.shutDown();
    return NO_REPLY;
  },
};
