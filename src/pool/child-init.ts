import type { LogLevel } from '../core/logger.ts';

/** What a child process needs to load the app by itself; plain JSON. */
export interface ChildInit {
  /** The `-A` of the worker. */
  readonly appSpec: string | undefined;
  /** Absolute folder in which names start. */
  readonly cwd: string;
  /** Settings from the environment by name. */
  readonly environment: Readonly<Record<string, unknown>>;
  /** Settings from the command line by name. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  /** The config file that the supervisor found, see `AppliedConfig`. */
  readonly configFile: string | null;
  /** Node name of the worker. */
  readonly hostname: string;
  readonly log: ChildLog;
  /** `worker_redirect_stdouts`: what tasks print goes to the log, line by line. */
  readonly redirectStdouts: boolean;
  /** `worker_redirect_stdouts_level`. */
  readonly redirectLevel: LogLevel;
}

/** How children log; see `LoggerOptions`. */
export interface ChildLog {
  readonly level: LogLevel;
  readonly format: string;
  readonly taskFormat: string;
  /** Path of the log file, in which `%i` and `%I` name the child; undefined = standard error. */
  readonly destination: string | undefined;
  readonly color: boolean;
}
