import type { Celery } from '../../app/celery.ts';
import type { EventDispatcher } from '../../app/event-dispatcher.ts';
import type { ReceivedEvent } from '../../app/event-receiver.ts';
import type { Logger } from '../../core/logger.ts';

/** Elections that are remembered; one that never ends is forgotten for a newer one. */
const MAX_ELECTIONS = 1000;

export interface ElectionsOptions {
  readonly app: Celery;
  readonly hostname: string;
  readonly dispatcher: EventDispatcher;
  readonly logger: Logger;
  /** How many workers live, as far as is known; without this one. */
  readonly workers: () => number;
}

interface Candidate {
  readonly clock: number;
  /** Node name and process. */
  readonly id: string;
  readonly topic: string;
  readonly action: unknown;
}

interface Election {
  readonly candidates: Candidate[];
  /** Who has seen a candidate; undefined: this worker has not called for it. */
  replies: string[] | undefined;
}

/**
 * Elections among workers, as Celery holds them: every worker that is called to one stands for it with its clock, every worker
 * confirms every candidate, and the earliest wins and acts.
 */
export class Elections {
  readonly #options: ElectionsOptions;
  readonly #elections = new Map<string, Election>();

  constructor(options: ElectionsOptions) {
    this.#options = options;
  }

  /** Stands for an election. @param topic `task`: the winner sends the signature `action` */
  begin(id: string, topic: string, action: unknown): void {
    this.#election(id).replies = [];
    this.#options.dispatcher.send('worker-elect', { id, topic, action: action ?? null, cver: 1 });
  }

  /** Somebody, maybe this worker, stands for an election. */
  onElect({ id, clock, hostname, pid, topic, action }: ReceivedEvent): void {
    if (typeof id !== 'string' || typeof clock !== 'number' || typeof topic !== 'string') {
      this.#options.logger.error('election request missing field');
      return;
    }
    this.#election(id).candidates.push({ clock, id: `${hostname}.${pid}`, topic, action });
    this.#options.dispatcher.send('worker-elect-ack', { id });
  }

  /** A worker has seen a candidate. */
  onAck({ id, hostname }: ReceivedEvent): void {
    const election = typeof id === 'string' ? this.#elections.get(id) : undefined;
    if (typeof id !== 'string' || election?.replies === undefined) return;
    election.replies.push(hostname);
    if (election.replies.length < this.#options.workers()) return;
    const [leader] = election.candidates.sort(
      (one, other) => one.clock - other.clock || (one.id < other.id ? -1 : 1),
    );
    // With nobody else alive the confirmation may come before the candidate.
    if (leader === undefined) return;
    this.#elections.delete(id);
    this.#end(id, leader);
  }

  #end(electionId: string, { id, topic, action }: Candidate): void {
    const { hostname, logger } = this.#options;
    if (id !== `${hostname}.${process.pid}`) {
      logger.info(`node ${id} elected for '${electionId}'`);
      return;
    }
    logger.info(`I won the election '${electionId}'`);
    if (topic !== 'task') {
      logger.error(`Unknown election topic '${topic}'`);
      return;
    }
    this.#call(action).catch((error: unknown) => logger.error('Could not call task', error));
  }

  async #call(action: unknown): Promise<void> {
    const { task, args, kwargs } = action as Readonly<Record<string, unknown>>;
    const isCall = typeof task === 'string' && Array.isArray(args);
    if (!isCall) throw new TypeError('The action of an election for a task has to be a signature.');
    await this.#options.app.sendTask(task, args, {
      kwargs: (kwargs ?? {}) as Readonly<Record<string, unknown>>,
    });
  }

  #election(id: string): Election {
    let election = this.#elections.get(id);
    if (election === undefined) {
      election = { candidates: [], replies: undefined };
      this.#elections.set(id, election);
      const [oldest] = this.#elections.keys();
      if (this.#elections.size > MAX_ELECTIONS && oldest !== undefined) this.#elections.delete(oldest);
    }
    return election;
  }
}
