const TASK = 'celery-task-meta-';
const GROUP = 'celery-taskset-meta-';

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
}
