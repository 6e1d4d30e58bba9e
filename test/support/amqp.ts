import type { TransportOptions } from '../../src/transport/connect.ts';

/** Connection options for tests: patient with a busy machine. */
export const AMQP_OPTIONS: TransportOptions = {
  heartbeatS: 120,
  connectionTimeoutS: 20,
  failoverStrategy: 'round-robin',
  transportOptions: {},
  useSsl: false,
};

/** A signal that nobody aborts. */
export const never = (): AbortSignal => new AbortController().signal;
