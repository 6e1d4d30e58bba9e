const TASK = 'celery-task-meta-';
const GROUP = 'celery-taskset-meta-';

/** The keys that one chord is counted by; the last two are ours alone. */
export interface ChordKeys {
  readonly members: string;
  readonly added: string;
  readonly size: string;
  readonly ids: string;
  readonly last: string;
}

/** The names that Celery gives to keys, and to the channels that tell of them. */
export class RedisKeys {
  readonly #task: string;
  readonly #group: string;

  /** @param globalKeyPrefix `global_keyprefix` of `result_backend_transport_options`; an underscore follows it unless it ends in `:`, `_`, `-` or `.` */
  constructor(globalKeyPrefix: unknown) {
    const given = typeof globalKeyPrefix === 'string' ? globalKeyPrefix : '';
    const prefix = given === '' || /[:_.-]$/.test(given) ? given : `${given}_`;
    this.#task = `${prefix}${TASK}`;
    this.#group = `${prefix}${GROUP}`;
  }

  task(taskId: string): string {
    return this.#task + taskId;
  }

  group(groupId: string): string {
    return this.#group + groupId;
  }

  chord(groupId: string): ChordKeys {
    const key = this.group(groupId);
    return { members: `${key}.j`, added: `${key}.t`, size: `${key}.s`, ids: `${key}.u`, last: `${key}.c` };
  }
}
