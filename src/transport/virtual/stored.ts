import { type DecodedEnvelope, decodeEnvelope } from '../../message/envelope-json.ts';

/** A message as a store keeps it, whoever put it there. Never throws. */
export function decodeStored(text: string): Omit<DecodedEnvelope, 'deliveryTag'> {
  try {
    const { envelope, exchange, routingKey, redelivered } = decodeEnvelope(text);
    return { envelope, exchange, routingKey, redelivered };
  } catch {
    // Not a message at all: handed on as it is, so that the consumer reports and rejects it as any other malformed one,
    // instead of leaving it in everybody's way.
    const envelope = {
      body: Buffer.from(text),
      contentType: 'application/data',
      contentEncoding: 'binary',
      headers: {},
      properties: {},
    };
    return { envelope, exchange: '', routingKey: '', redelivered: false };
  }
}
