import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

const module = (file: string): unknown =>
  require(join(dirname(require.resolve('amqplib')), `lib/${file}.js`));

/** How amqplib itself writes frames. */
export const defs = module('defs') as {
  BasicDeliver: number;
  BasicPublish: number;
  BasicProperties: number;
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
};

export const { makeBodyFrame } = module('frame') as {
  makeBodyFrame: (channel: number, body: Buffer) => Buffer;
};
