/**
 * Python's client writes header numbers that need 64 bits with the type tag `L`, which amqplib does not know: one such message
 * would end the connection each time it is delivered. The bytes that follow are those of amqplib's own `l`, so the tag is
 * replaced in the frame before amqplib reads it.
 */

const CONTENT_HEADER = 2;
const FRAME_HEADER_BYTES = 7;
/** Class, weight and body size come before the flags. */
const FLAGS_AT = FRAME_HEADER_BYTES + 12;
const HAS_CONTENT_TYPE = 0x8000;
const HAS_CONTENT_ENCODING = 0x4000;
const HAS_HEADERS = 0x2000;

const UNKNOWN_LONG = 'L'.charCodeAt(0);
const KNOWN_LONG = 'l'.charCodeAt(0);

/** Bytes of each value of fixed length, by its tag. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map(
  Object.entries({ t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, l: 8, L: 8, d: 8, T: 8, V: 0 }).map(
    ([tag, bytes]) => [tag.charCodeAt(0), bytes],
  ),
);
const TABLE = 'F'.charCodeAt(0);
const ARRAY = 'A'.charCodeAt(0);

/** The parts of amqplib's connection that are touched; `rest` begins with the frame that is read next. */
interface FrameReader {
  rest: Buffer;
  recvFrame(): unknown;
}

/** Makes an open connection of amqplib read the 64-bit numbers of Python. */
export function readPythonLongs(connection: unknown): void {
  if (!isFrameReader(connection)) return;
  const recvFrame = connection.recvFrame.bind(connection);
  connection.recvFrame = () => {
    const { rest } = connection;
    if (rest[0] === CONTENT_HEADER) relabelLongs(rest);
    return recvFrame();
  };
}

function isFrameReader(value: unknown): value is FrameReader {
  const { rest, recvFrame } = value as Partial<FrameReader>;
  return Buffer.isBuffer(rest) && typeof recvFrame === 'function';
}

/** Replaces the tag in the content header frame that `bytes` begins with, if it is there in full. */
export function relabelLongs(bytes: Buffer): void {
  if (bytes.length < FLAGS_AT + 2) return;
  const end = FRAME_HEADER_BYTES + bytes.readUInt32BE(3);
  // Most messages hold no such letter at all.
  if (bytes.length <= end || !bytes.subarray(FLAGS_AT, end).includes(UNKNOWN_LONG)) return;
  const flags = bytes.readUInt16BE(FLAGS_AT);
  if ((flags & HAS_HEADERS) === 0) return;
  let at = FLAGS_AT + 2;
  if ((flags & HAS_CONTENT_TYPE) !== 0) at += 1 + bytes.readUInt8(at);
  if ((flags & HAS_CONTENT_ENCODING) !== 0) at += 1 + bytes.readUInt8(at);
  relabelTable(bytes, at);
}

function relabelTable(bytes: Buffer, start: number): number {
  const end = start + 4 + bytes.readUInt32BE(start);
  let at = start + 4;
  while (at < end) at = relabelValue(bytes, at + 1 + bytes.readUInt8(at));
  return end;
}

/** Handles the value whose tag is at `at`; returns where the next thing begins. */
function relabelValue(bytes: Buffer, at: number): number {
  const tag = bytes.readUInt8(at);
  const next = at + 1;
  const fixed = FIXED_BYTES.get(tag);
  if (fixed !== undefined) {
    if (tag === UNKNOWN_LONG) bytes.writeUInt8(KNOWN_LONG, at);
    return next + fixed;
  }
  if (tag === TABLE) return relabelTable(bytes, next);
  const end = next + 4 + bytes.readUInt32BE(next);
  if (tag === ARRAY) {
    for (let item = next + 4; item < end;) item = relabelValue(bytes, item);
  }
  return end;
}
