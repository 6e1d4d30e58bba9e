import { OperationalError } from '../../core/errors.ts';
import type { Binding } from '../administration.ts';

/** Where RabbitMQ's management plugin is, and who asks it. */
export interface Management {
  /** `http://localhost:15672` */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly vhost: string;
}

const TIMEOUT_MS = 10_000;

/** The bindings of a virtual host. @throws {OperationalError} the plugin does not answer, or not to this user */
export async function managedBindings({ url, user, password, vhost }: Management): Promise<Binding[]> {
  const reply = await ask(`${url}/api/bindings/${encodeURIComponent(vhost)}`, `${user}:${password}`);
  const rows = (await reply.json()) as Readonly<Record<string, unknown>>[];
  return rows
    .filter((row) => row.destination_type === 'queue')
    .map((row) => ({
      queue: String(row.destination),
      exchange: String(row.source),
      routingKey: String(row.routing_key),
    }));
}

async function ask(url: string, credentials: string): Promise<Response> {
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  let reply: Response;
  try {
    reply = await fetch(url, { headers: { authorization }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new OperationalError(
      `RabbitMQ tells its bindings only by its management plugin, which does not answer at ${url}. ` +
        'Enable it with `rabbitmq-plugins enable rabbitmq_management`; if it is elsewhere, set manager_hostname and ' +
        'manager_port in broker_transport_options.',
      { cause: error },
    );
  }
  if (reply.ok) return reply;
  throw new OperationalError(
    `RabbitMQ's management plugin at ${url} refuses: ${String(reply.status)} ${reply.statusText}. The user of the broker ` +
      'URL needs the tag `management`; another one can be set as manager_userid and manager_password in ' +
      'broker_transport_options.',
  );
}
