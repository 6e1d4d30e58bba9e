/** Header and argument values in the types of AMQP tables that Python's client reads. */

const INT32_MIN = -2_147_483_648;
const INT32_MAX = 2_147_483_647;
const INT64_MAX = 9_223_372_036_854_775_807n;

/** How amqplib is told the type of a value. */
interface Typed {
  readonly '!': string;
  readonly value: unknown;
}

/** A table for amqplib: numbers as int32, int64 or double, dates as timestamps. */
export function encodeTable(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...table };
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    // Text and null, which most headers are, go as they are.
    if (typeof value !== 'string' && value !== null) fields[key] = encodeField(value);
  }
  // amqplib takes an own key '!' for the name of a type; it also sends inherited keys, where it does not look for one.
  return '!' in fields ? (Object.create(fields) as Record<string, unknown>) : fields;
}

function encodeField(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      return typedNumber(value);
    case 'bigint':
      if (value > INT64_MAX || value < -INT64_MAX - 1n)
        throw new RangeError(`${String(value)} has more than 64 bits`);
      return { '!': 'int64', value } satisfies Typed;
    case 'object':
      if (value === null || Buffer.isBuffer(value)) return value;
      if (value instanceof Uint8Array) return Buffer.from(value);
      if (value instanceof Date) {
        return { '!': 'timestamp', value: Math.floor(value.getTime() / 1000) } satisfies Typed;
      }
      if (Array.isArray(value)) return value.map(encodeField);
      return encodeTable(value as Record<string, unknown>);
    default:
      return value;
  }
}

function typedNumber(value: number): Typed {
  // Python takes amqplib's 64-bit numbers for unsigned ones, so a large negative number is a double, which is as exact.
  if (!Number.isSafeInteger(value) || value < INT32_MIN) return { '!': 'double', value };
  return { '!': value <= INT32_MAX ? 'int32' : 'int64', value };
}
