import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { CheckResult, CheckTask, FromProcess, ToProcess } from './protocol.ts';
import type { PayloadRule } from './rule.ts';

/**
 * Heap of the process, in MiB. Beyond it the process ends, and only that: a worker thread would do for a loop, but V8 ends
 * the whole process, and so the gateway, when a thread with `resourceLimits` asks for a large piece at once, such
 * as `[1..9999999]`.
 */
const MAX_HEAP_MIB = 64;

/**
 * Niceness (setpriority(2)) of the process: what loops in it must not take the processor from the gateway. At 10 it gets a
 * tenth of what the gateway gets where both want all of it.
 */
const NICENESS = 10;

/** The unit of proc(5) is 1/100 s on every machine that Linux is delivered for (USER_HZ). */
const MS_PER_TICK = 10;

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
    if (child.pid !== undefined) makeNice(child.pid);
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

  /** Processor time it has spent, in ms; undefined where the system does not tell (it is Linux that does). */
  cpuMs(): number | undefined {
    return this.#child?.pid === undefined ? undefined : cpuMsOf(this.#child.pid);
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

function makeNice(pid: number): void {
  try {
    setPriority(pid, NICENESS);
  } catch {
    // It ended at once, which is told as its end.
  }
}

/** User and system time, fields 14 and 15 of proc(5) stat; the name in field 2 may hold anything, but ends with ')'. */
function cpuMsOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  } catch {
    return undefined;
  }
}
