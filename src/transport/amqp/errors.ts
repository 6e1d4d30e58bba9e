import { AccessRefused, OperationalError } from '../../core/errors.ts';

/** The broker's own words inside an error of amqplib, such as `NOT_FOUND - no queue 'x' in vhost '/'`. */
export function replyText(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /with message "(.*)"$/s.exec(message)?.[1] ?? message;
}

/** AMQP reply code of an error of amqplib (404, 406, …), if the broker sent one. */
export function replyCode(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : undefined;
}

/** Why no connection could be opened. */
export function connectError(error: unknown, url: string, vhost: string): OperationalError {
  const text = replyText(error);
  if (text.startsWith('ACCESS_REFUSED') || text.startsWith('NOT_ALLOWED')) {
    return new AccessRefused(`Cannot connect to ${url}: ${text}`, { cause: error });
  }
  // The broker ends the handshake at the last step only for the virtual host; amqplib drops its reason.
  if (text.includes('Expected ConnectionOpenOk')) {
    return new AccessRefused(
      `Cannot connect to ${url}: ACCESS_REFUSED - virtual host '${vhost}' does not exist, or the user has no access to it`,
      { cause: error },
    );
  }
  return new OperationalError(`Cannot connect to ${url}: ${text || 'no reason given'}`, { cause: error });
}

/** Why an open connection ended. */
export function lostError(error: unknown, url: string): OperationalError {
  return new OperationalError(`Connection to ${url} was lost: ${replyText(error)}`, { cause: error });
}

/**
 * The broker's words when it closed the channel for a message of so many bytes, and undefined otherwise: the other messages
 * on that channel did nothing wrong.
 */
export function tooLarge(error: Error, bytes: number): string | undefined {
  const [text] = /message size \d+ is larger than configured max size \d+/.exec(error.message) ?? [];
  return text?.startsWith(`message size ${bytes} `) === true ? text : undefined;
}

/** Why an operation on a channel failed. */
export function operationError(what: string, error: unknown): OperationalError {
  const text = replyText(error);
  const hint = text.includes('inequivalent arg')
    ? '. It exists with other properties: delete it on the broker, or give the properties that it has.'
    : '';
  return new OperationalError(`Cannot ${what}: ${text}${hint}`, { cause: error });
}
