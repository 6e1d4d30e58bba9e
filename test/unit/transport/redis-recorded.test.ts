import { describe, expect, it } from 'vitest';
import { decodeEnvelope, encodeEnvelope } from '../../../src/message/envelope-json.ts';
import { decodeJson } from '../../../src/message/json.ts';
import { acceptedTypes, DEFAULT_LIMITS, openBody } from '../../../src/message/registry.ts';
import { Keys } from '../../../src/transport/redis/keys.ts';
import { redisOptions } from '../../../src/transport/redis/options.ts';
import { deliveryTagOf, markRedelivered, readRecord } from '../../../src/transport/redis/records.ts';
import { without } from '../../support/recorded-tasks.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface RecordedCase {
  readonly case: string;
  readonly envelopes: readonly string[];
  readonly records: readonly string[];
}

type Fields = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const { cases } = wireFixture<{ cases: readonly RecordedCase[] }>('envelopes-redis.json');
const accept = acceptedTypes(['json', 'msgpack']);

/** What kombu leaves in the properties and nobody reads there. */
const NOT_KEPT = ['argsrepr', 'kwargsrepr', 'message_id', 'type', 'app_id', 'timestamp', 'origin'];

/** All that an envelope says; `redelivered` is a mark of its own. */
function fields(text: string): unknown {
  const { properties, ...rest } = decodeJson(text) as Fields;
  const { delivery_info: info } = properties as Fields;
  return {
    ...rest,
    properties: {
      ...without(properties ?? {}, [...NOT_KEPT, 'replaced_task_nesting']),
      delivery_info: without(info ?? {}, ['redelivered']),
    },
  };
}

describe('what Python Celery sent over Redis', () => {
  it('is there', () => {
    expect(cases.flatMap(({ envelopes }) => envelopes)).toHaveLength(124);
    expect(cases.flatMap(({ records }) => records)).toHaveLength(34);
  });

  it.each(cases)('$case is read, and says the same when we write it', ({ envelopes, records }) => {
    for (const text of envelopes) {
      const { envelope, ...target } = decodeEnvelope(text);
      expect(fields(encodeEnvelope(envelope, target))).toEqual(fields(text));
      expect(deliveryTagOf(text)).toBe(target.deliveryTag);
      const { serializer, bytes } = openBody(envelope, accept, DEFAULT_LIMITS);
      expect(serializer.parse(bytes)).toBeInstanceOf(Object);
    }
    for (const text of records) {
      const record = readRecord(text);
      const [, exchange, routingKey] = decodeJson(text) as unknown[];
      expect(record).toMatchObject({ exchange, routingKey, malformed: false });
      const envelope = record?.envelope ?? '';
      expect(decodeEnvelope(markRedelivered(envelope))).toEqual({
        ...decodeEnvelope(envelope),
        envelope: expect.objectContaining({ body: decodeEnvelope(envelope).envelope.body }) as unknown,
        redelivered: true,
      });
    }
  });
});

describe("kombu's lists by priority", () => {
  const { cases: rows } = wireFixture<{
    cases: readonly {
      readonly priority_steps: readonly number[];
      readonly sep: string;
      readonly queue: string;
      readonly priority: number | null;
      readonly result: string;
    }[];
  }>('redis-priorities.json');

  it.each(rows)('$priority_steps: $priority', ({ priority_steps, sep, queue, priority, result }) => {
    const keys = new Keys(redisOptions({ priority_steps, sep }, 0));
    expect(keys.listFor(queue, priority ?? undefined)).toBe(result);
  });
});
