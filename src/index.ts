/// <reference lib="esnext.disposable" preserve="true" />
/// <reference types="node" preserve="true" />
/** What a user of celery-ts imports. */

export { Celery } from './app/celery.ts';
export type { AppSettings } from './app/celery.ts';
export type {
  CliCommandCall,
  CliCommandHandler,
  CliCommandOptions,
  CliOptionHandler,
  CliOptionPlace,
} from './app/cli-extensions.ts';
export type { Conf } from './app/conf.ts';
export type {
  Answers,
  BroadcastOptions,
  ConsumerOptions,
  Control,
  Reply,
  RevokeTasksOptions,
  TerminateOptions,
} from './app/control.ts';
export type {
  Accepted,
  Answer,
  HelloReply,
  QueueInfo,
  Refused,
  RequestInfo,
  ScheduledInfo,
  TaskWhereabouts,
  WorkerStats,
} from './app/control-replies.ts';
export type { ByNode, Inspect } from './app/inspect.ts';
export type { ArgumentType, CommandHandler, CommandOptions, RemoteWorker } from './app/remote-command.ts';
export { chain, chord, group, Group } from './app/compose.ts';
export type { SkewOptions } from './app/compose.ts';
export { Broadcast, Exchange, Queue } from './app/entities.ts';
export type {
  BroadcastOptions as BroadcastQueueOptions,
  ExchangeOptions,
  QueueOptions,
} from './app/entities.ts';
export type {
  ApplyOptions,
  BoundTaskOptions,
  ErrorClass,
  PublishOptions,
  PublishRetryPolicy,
  TaskOptions,
} from './app/options.ts';
export type { RetryOptions, TaskContext, TaskRequest } from './app/request.ts';
export type {
  EventHandler,
  EventReceiver,
  CaptureOptions,
  ReceivedEvent,
  ReceiverOptions,
} from './app/event-receiver.ts';
export type { Events, SendEventOptions } from './app/events.ts';
export { GroupResult } from './app/group-result.ts';
export type {
  AnyResult,
  GetOptions,
  ResultUpdate,
  RevokeOptions,
  TreeEdge,
  TreeOptions,
} from './app/result-options.ts';
export { ResultSet } from './app/result-set.ts';
export { AsyncResult } from './app/result.ts';
export type { ResultTuple } from './message/outcome.ts';
export type { Route, RouteFunction } from './app/routes.ts';
export type { SecurityOptions } from './app/security.ts';
export type { ConnectOptions, Receiver, Sender, Signal } from './app/signal.ts';
export * as signals from './app/signals.ts';
export { Signature } from './app/signature.ts';
export type { SignatureHost, SignatureOptions } from './app/signature.ts';
export type { AcceptedBy, Accepting, AnySignature, HandleOf, ResultOf } from './app/signature-types.ts';
export { sharedTask } from './app/shared-task.ts';
export type { AnyTask, Task } from './app/task.ts';
export {
  AccessRefused,
  AlreadyRegistered,
  BackendError,
  BackendGetMetaError,
  BackendStoreError,
  CeleryError,
  ChordError,
  ContentDisallowed,
  DecodeError,
  EncodeError,
  Ignore,
  ImproperlyConfigured,
  IncompleteStream,
  InvalidTaskError,
  MaxRetriesExceededError,
  NotRegistered,
  OperationalError,
  QueueNotFound,
  Reject,
  Retry,
  RuntimeError,
  SecurityError,
  SoftTimeLimitExceeded,
  TaskError,
  TaskRevokedError,
  Terminated,
  TimeLimitExceeded,
  TimeoutError,
  WorkerLostError,
} from './core/errors.ts';
export * as states from './core/states.ts';
export type { State } from './core/states.ts';
export type { SignatureJson } from './message/message.ts';
export { Camera } from './monitor/camera.ts';
export type { ClusterState, ClusterStateOptions } from './monitor/state.ts';
export type { MonitoredTask, TaskFields } from './monitor/task.ts';
export type { MonitoredWorker } from './monitor/worker.ts';
export type { CeleryEvent, EventFields } from './message/event.ts';
export { defineConfig } from './settings/settings.ts';
export type { ResolvedSettings, Settings } from './settings/settings.ts';
