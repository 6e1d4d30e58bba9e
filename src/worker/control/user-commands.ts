import type { ArgumentTypes, CommandArguments, RemoteWorker, UserCommand } from '../../app/remote-command.ts';
import type { ControlCommand, WorkerView } from './panel.ts';
import { requestInfo, requestsIn } from './request-info.ts';
import { statsOf } from './stats.ts';

/** A command of the user's, as the panel runs it. */
export function fromUser({ run, help = '', ...command }: UserCommand): ControlCommand {
  return {
    ...command,
    help,
    // Their types are what the command line makes of them; another program may send anything.
    run: (worker, args) => run(remoteWorker(worker), args as CommandArguments<ArgumentTypes>),
  };
}

function remoteWorker(worker: WorkerView): RemoteWorker {
  const infos = (place: 'active' | 'reserved') =>
    requestsIn(worker, place).map((request) => requestInfo(request, worker));
  return {
    hostname: worker.hostname,
    logger: worker.logger,
    active: () => infos('active'),
    reserved: () => infos('reserved'),
    get queues() {
      return worker.consumer.queues.map((queue) => queue.name);
    },
    get prefetchCount() {
      return worker.prefetch.count;
    },
    changePrefetch: (by) => worker.prefetch.change(by),
    stats: () => ({ ...statsOf(worker) }),
  };
}
