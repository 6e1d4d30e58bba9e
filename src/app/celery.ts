import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import type { ResultBackend } from '../backend/backend.ts';
import type { SignatureLike } from '../canvas/signature.ts';
import { LamportClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import { structuredSerializer } from '../message/registry.ts';
import { unsupportedSettings } from '../settings/resolve.ts';
import type { SettingsLayer } from '../settings/resolve.ts';
import type { ResolvedSettings, Settings } from '../settings/settings.ts';
import type { Transport } from '../transport/transport.ts';
import { checkTaskOptions } from './annotations.ts';
import type { TaskAttributes } from './annotations.ts';
import { BUILTIN_TASKS } from './builtins.ts';
import { Canvas } from './canvas.ts';
import { checkCallOptions } from './call-options.ts';
import { callerFile } from './call-site.ts';
import { CliExtensions } from './cli-extensions.ts';
import type {
  CliCommandHandler,
  CliCommandOptions,
  CliOptionHandler,
  CliOptionPlace,
} from './cli-extensions.ts';
import type { Conf, SettingsPlace } from './conf.ts';
import { Configuration } from './conf.ts';
import { Connections } from './connections.ts';
import { Control } from './control.ts';
import { introduceApp } from './current.ts';
import { Derived } from './derived.ts';
import { directContext } from './direct-context.ts';
import { Events } from './events.ts';
import { environmentSettings, processEnvironment } from './environment.ts';
import { check, checkFormats } from './formats.ts';
import { GroupResult } from './group-result.ts';
import type { AnyTaskOptions, ApplyOptions, BoundTaskOptions, TaskOptions } from './options.ts';
import type { Producer } from './producer.ts';
import type { ArgumentTypes, CommandHandler, CommandOptions, UserCommand } from './remote-command.ts';
import { UserCommands } from './remote-command.ts';
import type { Queues } from './queues.ts';
import { TaskRegistry } from './registry.ts';
import type { AnyResult } from './result-options.ts';
import { ResultSet } from './result-set.ts';
import { AsyncResult } from './result.ts';
import { resultHost } from './result-host.ts';
import type { Router } from './routes.ts';
import { type SecurityOptions, setupSecurity } from './security.ts';
import { runCall, sendCall } from './send.ts';
import type { SendHost, SendRequest } from './send.ts';
import { makeSignature } from './signature.ts';
import type { Signature, SignatureHost, SignatureOptions } from './signature.ts';
import type {
  AnyTask,
  BoundTaskFunction,
  BoundTaskOf,
  TaskDefinition,
  TaskFunction,
  TaskHost,
  TaskOf,
} from './task.ts';
import { createTask } from './task.ts';

/** How an app is known across copies of celery-ts in one process. */
const BRAND: unique symbol = Symbol.for('celery-ts.app');

/** Settings that the constructor takes: all of them, and short names for the two that everybody sets. */
export interface AppSettings extends Settings {
  /** `broker_url`: `pyamqp://guest@localhost//`, `sqlite:///path.db`, `memory://`, … */
  readonly broker?: string | readonly string[];
  /** `result_backend`: `rpc://`, `sqlite:///path.db`, `disabled://`, … */
  readonly backend?: string;
}

/** A module with tasks, by name or path. */
export interface TaskModule {
  readonly name: string;
  /** It need not exist (`autodiscoverTasks`). */
  readonly optional: boolean;
}

/**
 * An app: its tasks, their configuration, and the connections to send them.
 *
 * Nothing is opened before it is used. A program that used it ends by itself after `close()`, and not before: open
 * connections keep it running.
 */
export class Celery {
  readonly [BRAND] = true;
  /** Name of the app. */
  readonly main: string;
  /** The registered tasks by name. */
  readonly tasks: ReadonlyMap<string, AnyTask>;
  /** Logical clock of this process. */
  readonly clock = new LamportClock();
  /** Where answers to this process go: its own id. */
  readonly oid = randomUUID();
  /** Commands to running workers. */
  readonly control: Control;
  /** What workers and clients tell while they work. */
  readonly events: Events;
  /** Sends signatures of all kinds. */
  readonly signatures: SignatureHost = new Canvas(
    this,
    (id, details) => new AsyncResult(this.#results, id, details),
  );
  /** File of the module that made the app, when it has one. */
  readonly file: string | undefined;

  /** What this app adds to the command line. */
  readonly cliExtensions = new CliExtensions();
  readonly #configuration = new Configuration();
  readonly #registry = new TaskRegistry();
  readonly #definitions = new Map<string, TaskDefinition>();
  readonly #connections = new Connections(() => this.settings);
  readonly #commands = new UserCommands();
  readonly #discovered: TaskModule[] = [];
  readonly #origin = `gen${process.pid}@${hostname()}`;
  readonly #results = resultHost(this, () => this.#closing.signal);
  readonly #sendHost: SendHost = { app: this, results: this.#results, origin: this.#origin };
  readonly #taskHost: TaskHost = this.#hostTasks();
  #configModule: string | undefined;
  #loadSecurity: (() => void) | undefined;
  #configObject = false;
  #closing = newClosing();
  #configured: Promise<void> | undefined;
  #current: Derived | undefined;

  /** @param main name of the app, mostly that of its module */
  constructor(main = 'default', settings: AppSettings = {}) {
    this.main = main;
    this.tasks = this.#registry.all;
    this.control = new Control(this);
    this.events = new Events(this);
    this.file = callerFile(new.target);
    const { broker, backend, ...rest } = settings;
    this.#configuration.put('constructor', {
      origin: `new Celery('${main}')`,
      names: ['broker', 'backend'],
      values: {
        ...rest,
        ...(broker !== undefined && { broker_url: broker }),
        ...(backend !== undefined && { result_backend: backend }),
      },
    });
    this.#configuration.put('environment', {
      origin: 'environment',
      values: environmentSettings(processEnvironment()),
    });
    for (const builtin of BUILTIN_TASKS) this.register(builtin);
    introduceApp(this);
  }

  /** Settings by Celery's names: read what is in force, assign what is to be. */
  get conf(): Conf {
    return this.#configuration.conf;
  }

  /**
   * All settings in force, checked and frozen; another object after a change.
   * @throws {ImproperlyConfigured} naming the place, the setting and what it takes
   */
  get settings(): ResolvedSettings {
    return this.#configuration.settings;
  }

  /** Where the settings come from, weakest first. */
  get settingsLayers(): readonly SettingsLayer[] {
    return this.#configuration.layers;
  }

  /** Module that `configFromObject` named, for the loader to find. */
  get configModule(): string | undefined {
    return this.#configModule;
  }

  /** Whether a config file is to be looked for: not after `configFromObject(object)`. */
  get wantsConfigFile(): boolean {
    return !this.#configObject;
  }

  /**
   * Takes the configuration from an object, or from a module by its name: `app.configFromObject('celeryconfig')`.
   *
   * The module is imported when the app is first used.
   */
  configFromObject(source: string | Settings): void {
    this.#configured = undefined;
    this.#configObject = typeof source !== 'string';
    this.#configModule = typeof source === 'string' ? source : undefined;
    if (typeof source === 'string') return;
    this.#configuration.put('file', { origin: 'configFromObject', values: source });
  }

  /** Puts the settings of one place in force, for those who load the app: its config file, environment, command line. */
  addSettingsLayer(layer: SettingsLayer, place: SettingsPlace): void {
    this.#configuration.put(place, layer);
  }

  /** Says that the app has its configuration: `ready()` then looks for none. */
  markConfigured(): void {
    this.#configured = Promise.resolve();
  }

  /**
   * Resolves when the configuration file is read. Whatever sends or reads waits for it; call it before reading `conf` in a
   * program of your own.
   * @throws {ImproperlyConfigured}
   */
  ready(): Promise<void> {
    this.#configured ??= this.#configure();
    return this.#configured;
  }

  /**
   * Defines a task. The parameters of the function are those of `delay`; with `bind: true` the first is the running task.
   *
   * A parameter that may be left out needs a default (`y = 1`): of TypeScript's `y?: number` nothing is left at run time.
   * @throws {AlreadyRegistered} there is a task of that name
   */
  task<Run extends TaskFunction>(name: string, run: Run): TaskOf<Run>;
  task<Run extends BoundTaskFunction>(name: string, options: BoundTaskOptions, run: Run): BoundTaskOf<Run>;
  task<Run extends TaskFunction>(name: string, options: TaskOptions, run: Run): TaskOf<Run>;
  task(name: string, ...rest: [TaskFunction] | [AnyTaskOptions, TaskFunction]): unknown {
    const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
    return this.register({ name, run, options });
  }

  /** Defines a task of which the types are not known. @throws {AlreadyRegistered} there is a task of that name */
  register(definition: TaskDefinition): AnyTask {
    const { name, options } = definition;
    checkTaskOptions(name, options);
    const task = createTask(this.#taskHost, definition);
    this.#registry.register(task);
    this.#definitions.set(name, definition);
    return task;
  }

  /**
   * Sends a task by its name; this program need not define it.
   * @throws {TypeError} there is no option of that name
   * @throws {OperationalError} the broker cannot be reached
   */
  async sendTask<Result = unknown>(
    name: string,
    args: readonly unknown[] = [],
    options: ApplyOptions = {},
  ): Promise<AsyncResult<Result>> {
    checkCallOptions('sendTask', options);
    return (await this.#send(name, undefined, args, options)) as AsyncResult<Result>;
  }

  /** Calls a task by its name, with the options of its definition if this program has it. */
  call(name: string, args: readonly unknown[], options: ApplyOptions = {}): Promise<AsyncResult> {
    return this.#send(name, this.tasks.get(name), args, options);
  }

  /** Runs a task of this program here and now, whatever `task_always_eager` says. @throws {NotRegistered} */
  runHere(name: string, args: readonly unknown[], options: ApplyOptions = {}): Promise<ResultMeta> {
    return runCall(this.#request(name, this.tasks.get(name), args, options), this.#sendHost);
  }

  /**
   * A call of a task by its name, not yet made; this program need not define it. Also what its JSON form says, that of Python.
   *
   * @example chain(add.s(2, 2), app.signature<number>('py.double')).delay()
   * @throws {InvalidTaskError} it is no signature
   * @throws {TypeError} there is no option of that name
   */
  signature<Result = unknown>(
    task: string | SignatureLike,
    args: readonly unknown[] = [],
    options: SignatureOptions = {},
  ): Signature<readonly unknown[], Result> {
    return makeSignature<Result>(this.signatures, task, args, options);
  }

  /** The result of a call by its id. @param parent what it follows, e.g. the step before in a chain */
  AsyncResult<Result = unknown>(id: string, parent: AnyResult | null = null): AsyncResult<Result> {
    return new AsyncResult<Result>(this.#results, id, { parent });
  }

  /** The result of a group by its id and members; to read one that was saved, see `restoreGroup`. */
  GroupResult<Results extends readonly unknown[] = readonly unknown[]>(
    id: string,
    results: Iterable<AnyResult> = [],
    parent: AnyResult | null = null,
  ): GroupResult<Results> {
    return new GroupResult<Results>(this.#results, id, results, parent);
  }

  /** Several results, to be waited for together. */
  ResultSet<Results extends readonly unknown[] = readonly unknown[]>(
    results: Iterable<AnyResult> = [],
  ): ResultSet<Results> {
    return new ResultSet<Results>(this.#results, results);
  }

  /**
   * A group that was kept by `save()`, of this program or another, also one in Python; null when there is none.
   * @throws {BackendError} the backend cannot keep groups
   */
  async restoreGroup<Results extends readonly unknown[] = readonly unknown[]>(
    id: string,
  ): Promise<GroupResult<Results> | null> {
    await this.ready();
    const saved = await this.backend.loadGroup(id);
    const group = saved === undefined ? null : this.#results.fromTuple(saved);
    return group instanceof GroupResult ? (group as GroupResult<Results>) : null;
  }

  /** The result of Celery's tuple form, `[[id, parent], members]`: what `asTuple()` gives, here or in Python. */
  resultFromTuple(tuple: ResultTuple): AnyResult {
    return this.#results.fromTuple(tuple);
  }

  /** Have the worker import `<package>.tasks`, or another module, of each package that has one. */
  autodiscoverTasks(packages: readonly string[], relatedName: string | null = 'tasks'): void {
    for (const name of packages) {
      this.#discovered.push({ name: relatedName === null ? name : `${name}.${relatedName}`, optional: true });
    }
  }

  /**
   * Adds a remote control command that changes the workers of this app: `celery-ts control NAME`.
   *
   * @example app.controlCommand('more', { args: { n: 'int' } }, (worker, { n = 1 }) => worker.changePrefetch(n));
   * @throws {ValueError} there is a command of that name
   */
  controlCommand<Arguments extends ArgumentTypes>(
    name: string,
    options: CommandOptions<Arguments>,
    run: CommandHandler<Arguments>,
  ): void {
    this.#commands.add({ ...options, name, kind: 'control', run: run as CommandHandler });
  }

  /** Adds one that asks them: `celery-ts inspect NAME`. @throws {ValueError} there is a command of that name */
  inspectCommand<Arguments extends ArgumentTypes>(
    name: string,
    options: CommandOptions<Arguments>,
    run: CommandHandler<Arguments>,
  ): void {
    this.#commands.add({ ...options, name, kind: 'inspect', run: run as CommandHandler });
  }

  /**
   * Adds an option to a command of `celery-ts`, or to all of them.
   *
   * @example app.cliOption('worker', '--tenant <name>', 'whose tasks to run', (name) => ({ task_default_queue: `tenant-${name}` }));
   * @param place `worker`, `events`, another command, or `all`: before the command
   * @param flags as help shows them: `-t, --tenant <name>`
   * @param handle is given what was typed; the settings that it returns are in force
   * @throws {ValueError} the flags are none
   */
  cliOption(place: CliOptionPlace, flags: string, description: string, handle: CliOptionHandler): void {
    this.cliExtensions.addOption({ place, flags, description, handle });
  }

  /**
   * Adds a command to `celery-ts`.
   *
   * @example app.cliCommand('replay <queue>', { description: 'Send what failed once more.' }, async ({ app, args }) => { … });
   * @param form its name and arguments: `replay <queue> [limit]`
   * @throws {ValueError} there is a command of that name
   */
  cliCommand(form: string, options: CliCommandOptions, run: CliCommandHandler): void {
    this.cliExtensions.addCommand({ ...options, form, run });
  }

  /** The remote control commands that were added. */
  get userCommands(): readonly UserCommand[] {
    return this.#commands.all;
  }

  /** Modules with tasks that a worker imports: `imports`, `include`, `autodiscoverTasks`. */
  modulesToImport(): readonly TaskModule[] {
    const { imports, include } = this.settings;
    return [...[...imports, ...include].map((name) => ({ name, optional: false })), ...this.#discovered];
  }

  /** The queues of the settings, and which of them a worker consumes. */
  get queues(): Queues {
    return this.#derived().queues;
  }

  /** Where calls go. */
  get router(): Router {
    return this.#derived().router;
  }

  /** Publishes over the app's one connection, made when needed. */
  get producer(): Producer {
    return this.#connections.producer;
  }

  /** The result backend; printed, its URL without the password. */
  get backend(): ResultBackend {
    return this.backendFor(null);
  }

  /** The result backend of a task that has its own; null: the app's. */
  backendFor(url: string | null): ResultBackend {
    return this.#connections.backend(url);
  }

  /** The broker of the settings, not connected. */
  transport(): Transport {
    return this.#connections.transport();
  }

  /**
   * Signs every message and takes only messages that a trusted key has signed: the serializer `auth`. It needs
   * `task_serializer: 'auth'`, `accept_content: ['auth']` and the settings `security_*`, or these options.
   *
   * As in Celery it is one for the process: of several apps, the last one's keys are used. The files are read with the first
   * message, by a worker when it starts.
   */
  setupSecurity(options: SecurityOptions = {}): void {
    this.#loadSecurity = setupSecurity(() => this.settings, options);
  }

  /** Works out the options of all tasks, and reads the keys, so that what is wrong with them shows now. @throws {ImproperlyConfigured} */
  finalizeTasks(): void {
    this.#loadSecurity?.();
    checkFormats(this.settings);
    for (const definition of this.#definitions.values()) {
      const { backend, serializer } = this.#derived().attributesOf(definition).resolved;
      check(`Task '${definition.name}'`, () => structuredSerializer(serializer));
      if (backend !== null) this.backendFor(backend);
    }
  }

  /** Sends what is under way, then releases all that the app opened. It may be used again afterwards. */
  async close(): Promise<void> {
    this.#closing.abort(new OperationalError('The app was closed.'));
    this.#closing = newClosing();
    await this.#connections.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #derived(): Derived {
    if (this.#current?.settings !== this.settings) this.#current = new Derived(this.settings);
    return this.#current;
  }

  async #configure(): Promise<void> {
    const { applyConfig } = await import('./config-file.ts');
    const chosen = this.#configObject || this.#configModule !== undefined;
    const configModule = chosen ? undefined : processEnvironment().CELERY_CONFIG_MODULE;
    await applyConfig(this, { cwd: process.cwd(), file: this.file, configModule });
    const later = unsupportedSettings(this.settingsLayers);
    if (later.length > 0) {
      process.emitWarning(`These settings have no effect yet: ${later.join(', ')}`, 'CeleryWarning');
    }
  }

  #send(
    name: string,
    task: AnyTask | undefined,
    args: readonly unknown[],
    options: ApplyOptions,
  ): Promise<AsyncResult> {
    return sendCall(this.#request(name, task, args, options), this.#sendHost);
  }

  #request(
    name: string,
    task: AnyTask | undefined,
    args: readonly unknown[],
    options: ApplyOptions,
  ): SendRequest {
    const definition = task === undefined ? undefined : this.#definitions.get(name);
    const attributes = (): TaskAttributes | undefined =>
      definition === undefined ? undefined : this.#derived().attributesOf(definition);
    return { name, task, args, options, attributes };
  }

  #hostTasks(): TaskHost {
    return {
      optionsOf: (definition) => this.#derived().attributesOf(definition).resolved,
      call: (task, args, options) => this.#send(task.name, task, args, options),
      resultOf: (task, id) => new AsyncResult(this.#results, id, { backend: task.options.backend }),
      directContext: (task, args) => directContext(this, task, args),
      signatures: this.signatures,
    };
  }
}

/** Every result that is waited for listens to it. */
function newClosing(): AbortController {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  return closing;
}
