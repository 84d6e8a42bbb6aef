import { type ChildProcess, fork } from 'node:child_process';
import type { CheckResult, CheckTask, FromProcess, ToProcess } from './protocol.ts';
import type { PayloadRule } from './rule.ts';

/**
 * Heap of the process, in MiB. Beyond it the process ends, and only that: a worker thread would do for a loop, but V8 ends
 * the whole process, and so the gateway, when a thread with `resourceLimits` asks for a large piece at once, such
 * as `[1..9999999]`.
 */
const MAX_HEAP_MIB = 64;

/** What to run: in the built gateway the file beside this one. */
export interface ProcessProgram {
  readonly file: URL;
  /** Options of node. */
  readonly execArgv: readonly string[];
}

const PROGRAM: ProcessProgram = { file: new URL('./process.js', import.meta.url), execArgv: [] };

export interface CheckingProcessParts {
  readonly rules: readonly PayloadRule[];
  /** Default: the built file. Tests give the source. */
  readonly program?: ProcessProgram;
  /** It can take tasks. */
  readonly onReady: () => void;
  readonly onResults: (results: readonly CheckResult[]) => void;
  /** It ended by itself, is killed, or could not be started. Told once, unless `close` was called. */
  readonly onEnd: (how: string) => void;
}

/** One run of the process that checks payloads. */
export class CheckingProcess {
  readonly #parts: CheckingProcessParts;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isTold = false;

  constructor(parts: CheckingProcessParts) {
    this.#parts = parts;
  }

  /** Starts it; `onReady` or `onEnd` follows. */
  start(): void {
    const { rules, program = PROGRAM, onReady, onResults } = this.#parts;
    const child = fork(program.file, [], {
      execArgv: [`--max-old-space-size=${MAX_HEAP_MIB}`, ...program.execArgv],
      env: {}, // an expression can read nothing of it, but neither has it any use
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve();
        this.#tellEnd(signal ?? `exit code ${code}`);
      });
      child.once('error', (error) => {
        if (child.pid === undefined) resolve();
        this.#tellEnd(error.message);
      });
    });
    child.on('message', (message: FromProcess) => {
      if ('results' in message) onResults(message.results);
      else onReady();
    });
    this.#send({ rules });
  }

  /** Gives it a batch; it must have answered the one before. */
  check(tasks: readonly CheckTask[]): void {
    this.#send({ tasks });
  }

  /** Ends it at once, whatever it does. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Ends it at once and for good; resolves when it is gone. Nothing more is told. */
  async close(): Promise<void> {
    this.#isTold = true;
    this.kill();
    await this.#ended;
  }

  #send(message: ToProcess): void {
    this.#child?.send(message, () => undefined); // that it is gone is told by its end
  }

  #tellEnd(how: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#parts.onEnd(how);
  }
}
