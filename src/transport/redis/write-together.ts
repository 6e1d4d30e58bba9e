import type { Redis } from 'ioredis';

/**
 * ioredis hands each command to the socket on its own, one system call each. The returned function makes all commands of this
 * turn of the event loop leave together instead.
 */
export function writeTogether({ stream }: Redis): () => void {
  let corked = false;
  return () => {
    if (corked) return;
    corked = true;
    stream.cork();
    setImmediate(() => {
      corked = false;
      stream.uncork();
    });
  };
}
