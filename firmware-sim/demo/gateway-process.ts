import type { ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { exitOf, spawnOwned } from '../../test/helpers/child-process.ts';

/** A start takes well under a second; a small machine under load gets this much, in ms. */
const READY_LIMIT_MS = 20_000;
/** Time to close in an orderly way before it is killed, in ms. */
const STOP_LIMIT_MS = 10_000;
const LOG_TAIL_LINES = 20;

export interface GatewayProcessOptions {
  /** The script that node runs, `dist/main.js`. */
  readonly script: string;
  readonly configPath: string;
  /** Everything it prints is appended here. */
  readonly logPath: string;
}

/** The gateway as a child process that can be killed and started again. It never outlives this process. */
export class GatewayProcess {
  readonly #options: GatewayProcessOptions;
  readonly #tail: string[] = [];
  #log: WriteStream | undefined;
  #child: ChildProcess | undefined;

  constructor(options: GatewayProcessOptions) {
    this.#options = options;
  }

  /** The last lines it has printed. */
  get logTail(): string {
    return this.#tail.join('\n');
  }

  /** False when it has ended, also by itself. */
  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Resolves when the MQTT listener accepts (log line with `"event":"ready"`).
   * @throws {Error} with the last log lines when it ends or takes too long.
   */
  async start(): Promise<void> {
    const { script, configPath, logPath } = this.#options;
    this.#log ??= createWriteStream(logPath, { flags: 'a' });
    const child = spawnOwned(process.execPath, [script, 'run', '--config', configPath], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    await this.#ready(child);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to close, and kills it if it does not. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    this.#log?.end();
    this.#log = undefined;
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    child.kill(signal);
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await exitOf(child);
    clearTimeout(killer);
  }

  #ready(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`the gateway ${why}\n${this.logTail}`));
      const timer = setTimeout(() => fail('was not ready in time'), READY_LIMIT_MS);
      this.#eachLine(child, (line) => {
        if (eventOf(line) !== 'ready') return;
        clearTimeout(timer);
        resolve();
      });
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal}`);
      });
    });
  }

  #eachLine(child: ChildProcess, onLine: (line: string) => void): void {
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.#log?.write(`${line}\n`);
        this.#tail.push(line);
        if (this.#tail.length > LOG_TAIL_LINES) this.#tail.shift();
        onLine(line);
      });
    }
  }
}

function eventOf(line: string): unknown {
  try {
    const entry: unknown = JSON.parse(line);
    return entry !== null && typeof entry === 'object' && 'event' in entry
      ? entry.event
      : undefined;
  } catch {
    return undefined; // a line that is not JSON, such as a stack trace
  }
}
