/** A BLOB as it was read: better-sqlite3 gives a Buffer, node:sqlite a Uint8Array. */
export function asBuffer(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.from(String(value));
}
