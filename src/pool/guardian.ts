import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Logger } from '../core/logger.ts';

// Collects pids from its standard input. That ends when the supervisor does, however it does; then whoever has not left by
// itself within a moment is killed. `sleep` with a fraction is not POSIX: where it fails, the kill comes at once.
const SCRIPT = `
pids=' '
while read -r op pid; do
  case $op in
    +) pids="$pids$pid " ;;
    -) case $pids in *" $pid "*) pids="\${pids%% $pid *} \${pids#* $pid }" ;; esac ;;
  esac
done
[ "$pids" = ' ' ] && exit 0
sleep 0.2 2>/dev/null
kill -KILL $pids 2>/dev/null
exit 0
`;

/**
 * Sees to it that no child outlives the supervisor.
 *
 * A child whose event loop is blocked cannot notice that the supervisor is gone, and Node has no parent-death signal. A tiny
 * shell in a session of its own, out of reach of Ctrl-C, holds the list of children and kills them when the supervisor ends.
 */
export class Guardian {
  readonly #logger: Logger;
  readonly #pids = new Set<number>();
  #shell: ChildProcess | undefined;
  #isClosed = false;
  #hasWarned = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Pid of the shell; undefined before the first child and where there is no `/bin/sh`. */
  get pid(): number | undefined {
    return this.#shell?.pid;
  }

  add(pid: number): void {
    this.#pids.add(pid);
    if (this.#shell === undefined) this.#start();
    else this.#tell(`+ ${pid}\n`);
  }

  remove(pid: number): void {
    if (this.#pids.delete(pid)) this.#tell(`- ${pid}\n`);
  }

  /** Ends the shell; children still in its list are killed. */
  close(): Promise<void> {
    this.#isClosed = true;
    const shell = this.#shell;
    if (shell === undefined || shell.exitCode !== null || shell.signalCode !== null) return Promise.resolve();
    // Its end is waited for, unlike its life.
    shell.ref();
    return new Promise((resolve) => {
      shell.once('exit', () => {
        resolve();
      });
      shell.stdin?.end();
    });
  }

  #start(): void {
    if (this.#isClosed) return;
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'celery-ts-guardian'], {
      cwd: '/',
      // No more than `sleep` needs: this process must not keep the user's environment alive.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell = shell;
    shell.on('error', (error) => {
      this.#lost(shell, error.message);
    });
    shell.on('exit', (code, signal) => {
      this.#lost(shell, `it ended with ${signal ?? `exitcode ${String(code)}`}`);
    });
    // Its death is seen by the two listeners above.
    shell.stdin.on('error', () => undefined);
    shell.unref();
    for (const pid of this.#pids) this.#tell(`+ ${pid}\n`);
  }

  /** The next child starts another one. */
  #lost(shell: ChildProcess, reason: string): void {
    if (this.#shell !== shell) return;
    this.#shell = undefined;
    if (this.#isClosed || this.#hasWarned) return;
    this.#hasWarned = true;
    this.#logger.warning(
      `The guardian of the child processes is missing: ${reason}. ` +
        'Should the worker be killed, children in a busy loop would go on; they have to be killed by hand then.',
    );
  }

  #tell(line: string): void {
    if (this.#shell?.stdin?.writable === true) this.#shell.stdin.write(line);
  }
}
