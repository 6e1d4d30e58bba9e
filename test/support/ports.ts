import { createServer } from 'node:net';

/** Whether nobody listens on a port of the loopback. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * Ports that nobody uses now, outside the range from which the kernel takes the ports of outgoing connections, so that a
 * server may go away and come back on the same port.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}
