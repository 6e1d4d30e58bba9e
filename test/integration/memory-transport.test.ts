import { randomUUID } from 'node:crypto';
import { memoryTransport } from '../../src/transport/memory/transport.ts';
import { transportContract } from '../contract/transport-suite.ts';

transportContract('memory', () => {
  const url = `memory://${randomUUID()}`;
  return Promise.resolve({
    transport: () => memoryTransport(url),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
