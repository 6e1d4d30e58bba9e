import type { ResolvedSettings } from '../settings/settings.ts';
import type { TaskAttributes } from './annotations.ts';
import { resolveTaskOptions } from './annotations.ts';
import { Queues } from './queues.ts';
import { Router } from './routes.ts';
import type { TaskDefinition } from './task.ts';

/** What follows from one state of the settings; made again when they change. */
export class Derived {
  readonly settings: ResolvedSettings;
  readonly #attributes = new Map<TaskDefinition, TaskAttributes>();
  #queues: Queues | undefined;
  #router: Router | undefined;

  constructor(settings: ResolvedSettings) {
    this.settings = settings;
  }

  get queues(): Queues {
    this.#queues ??= new Queues(this.settings);
    return this.#queues;
  }

  get router(): Router {
    this.#router ??= new Router(this.settings, this.queues);
    return this.#router;
  }

  attributesOf(definition: TaskDefinition): TaskAttributes {
    let attributes = this.#attributes.get(definition);
    if (attributes === undefined) {
      attributes = resolveTaskOptions(definition, this.settings);
      this.#attributes.set(definition, attributes);
    }
    return attributes;
  }
}
