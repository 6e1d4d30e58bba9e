import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';
import { pythonJson } from './replies.ts';

/** Options of `celery-ts list bindings`. */
export interface BindingsOptions {
  readonly json?: boolean;
}

/** `celery-ts list bindings`: declares the queues of the app, as Celery does, and lists all bindings of the broker. */
export function runBindings(context: Context, { json }: BindingsOptions): Promise<number> {
  return withApp(context, async ({ app }) => {
    const seconds = app.settings.broker_connection_timeout ?? 60;
    const connection = await app.transport().connect(AbortSignal.timeout(seconds * 1000));
    try {
      const channel = await connection.openChannel();
      for (const queue of app.queues.all()) await channel.declareQueue(queue);
      const found = [...(await connection.administer().bindings())].sort(
        (a, b) => compare(a.queue, b.queue) || compare(a.exchange, b.exchange),
      );
      if (json === true) {
        print(
          pythonJson(
            found.map(({ queue, exchange, routingKey }) => ({ queue, exchange, routing_key: routingKey })),
          ),
        );
        return EXIT.ok;
      }
      print(row('Queue', 'Exchange', 'Routing Key'));
      print(row('-'.repeat(16), '-'.repeat(16), '-'.repeat(16)));
      for (const { queue, exchange, routingKey } of found) print(row(queue, exchange, routingKey));
      return EXIT.ok;
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  });
}

function row(queue: string, exchange: string, routingKey: string): string {
  return `${queue.padEnd(28)} ${exchange.padEnd(28)} ${routingKey}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
