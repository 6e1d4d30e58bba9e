// Faults for as long as you like: `npm run soak -- --help`. Prints one line per round and a summary; exit code 1 when a task was lost.
import { parseArgs } from 'node:util';
import { BROKERS, type BrokerName } from '../test/support/chaos/broker.ts';
import { storm } from '../test/support/chaos/storm.ts';
import type { Kind } from '../test/support/chaos/workers.ts';
import { stopRounds } from '../test/support/chaos/stops.ts';

const HELP = `Usage: npm run soak -- [stops|storm] [options]

stops: the broker is stopped and started again; a worker of several queues must take up all of them by itself.
storm: Python and TypeScript workers share a queue; one is killed each second, connections are cut.

  --broker redis|rabbitmq  default: both, one after the other
  --rounds <n>             stops: 20
  --stop <seconds>         stops: 30
  --tasks <n>              storm: 5000
  --task-ms <n>            storm: length of a task, 10
  --kill-every <seconds>   storm: 1
  --kinds <names>          storm: python,typescript
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    broker: { type: 'string' },
    rounds: { type: 'string', default: '20' },
    stop: { type: 'string', default: '30' },
    tasks: { type: 'string', default: '5000' },
    'task-ms': { type: 'string', default: '10' },
    'kill-every': { type: 'string', default: '1' },
    kinds: { type: 'string', default: 'python,typescript' },
    help: { type: 'boolean' },
  },
});
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const [what = 'stops'] = positionals;
const brokers = BROKERS.filter((name) => values.broker === undefined || values.broker === name);
if (values.help === true || !['stops', 'storm'].includes(what) || brokers.length === 0) {
  print(HELP);
  process.exit(values.help === true ? 0 : 2);
}
for (const broker of brokers) {
  try {
    const counts = await soak(broker);
    print(`${broker}: ${JSON.stringify(counts)}`);
  } catch (error) {
    print(`${broker}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = 1;
  }
}

function soak(broker: BrokerName): Promise<unknown> {
  if (what === 'storm') {
    const kinds = values.kinds.split(',') as Kind[];
    const [tasks, taskMs] = [Number(values.tasks), Number(values['task-ms'])];
    return storm({ broker, tasks, taskMs, killEveryMs: Number(values['kill-every']) * 1000, kinds, print });
  }
  return stopRounds({ broker, rounds: Number(values.rounds), stopMs: Number(values.stop) * 1000, print });
}
