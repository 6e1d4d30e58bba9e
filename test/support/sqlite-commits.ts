import { closeSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';

/** How many transactions have been committed to a database in WAL mode: `iChange` of the header of its wal-index. */
export function commits(path: string): number {
  const file = openSync(`${path}-shm`, 'r');
  try {
    const header = Buffer.alloc(12);
    readSync(file, header, 0, header.length, 0);
    return endianness() === 'LE' ? header.readUInt32LE(8) : header.readUInt32BE(8);
  } finally {
    closeSync(file);
  }
}
