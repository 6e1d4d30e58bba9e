import { parseIso } from '../core/time.ts';
import { jsonSerializer } from '../message/json.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { count, print } from './output.ts';
import { Progress } from './progress.ts';
import { pythonJson } from './replies.ts';

/** Options of `celery-ts call` as commander gives them. */
export interface CallOptions {
  readonly args?: string;
  readonly kwargs?: string;
  readonly eta?: string;
  readonly countdown?: number;
  readonly expires?: string;
  readonly serializer?: string;
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly count: number;
  readonly json?: boolean;
}

/** Of many tasks so many are on their way to the broker at a time. */
const BATCH = 500;

/** `celery-ts call`: sends a task by its name and prints its id, or many times and prints their ids. */
export function runCall(
  context: Context,
  [name = '']: readonly string[],
  options: CallOptions,
): Promise<number> {
  const invalid = (flags: string, problem: string) => context.usage(`Invalid value for ${flags}: ${problem}`);
  const json = (flags: string, text: string): unknown => {
    try {
      return jsonSerializer.decode(Buffer.from(text));
    } catch (error) {
      throw invalid(flags, error instanceof Error ? error.message : String(error));
    }
  };
  const time = (flags: string, text: string): Date => {
    try {
      return new Date(parseIso(text));
    } catch {
      throw invalid(flags, `'${text}' is not an ISO-8601 time.`);
    }
  };

  const args = json("'-a' / '--args'", options.args ?? '[]');
  if (!Array.isArray(args)) throw invalid("'-a' / '--args'", `${options.args ?? ''} was not an array`);
  const kwargs = json("'-k' / '--kwargs'", options.kwargs ?? '{}');
  if (!isRecord(kwargs)) throw invalid("'-k' / '--kwargs'", `${options.kwargs ?? ''} was not an object`);
  const { eta, countdown, expires, serializer, queue, exchange, routingKey } = options;
  const call = {
    kwargs,
    ...(eta !== undefined && { eta: time("'--eta'", eta) }),
    ...(countdown !== undefined && { countdown }),
    ...(expires !== undefined && {
      expires: isNumber(expires) ? Number(expires) : time("'--expires'", expires),
    }),
    ...(serializer !== undefined && { serializer }),
    ...(queue !== undefined && { queue }),
    ...(exchange !== undefined && { exchange }),
    ...(routingKey !== undefined && { routingKey }),
  };
  return withApp(context, async ({ app }) => {
    const send = async (): Promise<void> => {
      const { id } = await app.sendTask(name, args, call);
      print(options.json === true ? pythonJson({ id }) : id);
    };
    await sendMany(send, options.count, context.global.quiet !== true);
    return EXIT.ok;
  });
}

/** Sends, and shows on a terminal how far it is. An error ends it; what was sent has been printed. */
async function sendMany(send: () => Promise<void>, total: number, showsProgress: boolean): Promise<void> {
  using progress = new Progress(showsProgress && total > 1 && !process.stdout.isTTY);
  for (let sent = 0; sent < total; sent += BATCH) {
    progress.show(`Sent ${String(sent)} of ${count(total, 'task')}`);
    await Promise.all(Array.from({ length: Math.min(BATCH, total - sent) }, send));
  }
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && !Number.isNaN(Number(text));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
