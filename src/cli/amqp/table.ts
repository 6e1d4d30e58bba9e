/** An argument of a command of the `amqp` shell. */
export interface AmqpArgument {
  readonly name: string;
  readonly type: 'str' | 'bool' | 'int';
  /** It may be left out, and is false then. */
  readonly optional?: boolean;
}

/** A command of the `amqp` shell. */
export interface AmqpCommand {
  readonly name: string;
  readonly help: string;
  readonly args: readonly AmqpArgument[];
}

const text = (name: string): AmqpArgument => ({ name, type: 'str' });
const flag = (name: string): AmqpArgument => ({ name, type: 'bool', optional: true });

/** The commands with Celery's names and arguments. */
export const AMQP_COMMANDS: readonly AmqpCommand[] = [
  {
    name: 'exchange.declare',
    help: 'make an exchange, or with passive see whether it is there',
    args: [text('exchange'), text('type'), flag('passive'), flag('durable'), flag('auto_delete')],
  },
  {
    name: 'exchange.delete',
    help: 'delete an exchange, with if_unused only when nothing is bound to it',
    args: [text('exchange'), flag('if_unused')],
  },
  {
    name: 'queue.bind',
    help: 'let messages of an exchange into a queue',
    args: [text('queue'), text('exchange'), text('routing_key')],
  },
  {
    name: 'queue.declare',
    help: 'make a queue, or with passive see whether it is there; counts its messages',
    args: [text('queue'), flag('passive'), flag('durable'), flag('auto_delete')],
  },
  {
    name: 'queue.delete',
    help: 'delete a queue and its messages',
    args: [text('queue'), flag('if_unused'), flag('if_empty')],
  },
  { name: 'queue.purge', help: 'delete the waiting messages of a queue', args: [text('queue')] },
  {
    name: 'basic.get',
    help: 'take one message and show it; it goes back at the end, unless no_ack or basic.ack',
    args: [text('queue'), flag('no_ack')],
  },
  {
    name: 'basic.publish',
    help: 'send a text',
    args: [text('msg'), text('exchange'), text('routing_key'), flag('mandatory'), flag('immediate')],
  },
  {
    name: 'basic.ack',
    help: 'acknowledge a message of basic.get by its delivery tag',
    args: [{ name: 'delivery_tag', type: 'int' }],
  },
];

const YES = ['1', 'true', 't', 'yes', 'y', 'on'];
const NO = ['0', 'false', 'f', 'no', 'n', 'off'];

/** The value that a word stands for; undefined when it stands for none. */
export function amqpValue(word: string, { type }: AmqpArgument): string | boolean | number | undefined {
  if (type === 'str') return word;
  if (type === 'int') return /^[+-]?\d+$/.test(word) ? Number(word) : undefined;
  const folded = word.toLowerCase();
  if (YES.includes(folded)) return true;
  return NO.includes(folded) ? false : undefined;
}

/** `QUEUE [PASSIVE] [DURABLE]`. */
export function signatureOf({ args }: AmqpCommand): string {
  return args
    .map(({ name, optional }) => (optional === true ? `[${name.toUpperCase()}]` : name.toUpperCase()))
    .join(' ');
}
