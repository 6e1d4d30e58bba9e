import { createRequire } from 'node:module';
import type * as Amqplib from 'amqplib';

// Required, as it is CommonJS: to import that, Node first reads all of it for its names, and where tsx is at work asks it about
// each file. It is the last thing that a worker loads, and the longest of them.
const amqplib = createRequire(import.meta.url)('amqplib') as typeof Amqplib;

export const { connect, credentials, IllegalOperationError } = amqplib;
