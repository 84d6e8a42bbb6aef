import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit } from '../helpers/child-process.ts';
import { eventually } from '../helpers/eventually.ts';
import { type GatewayProcess, type LogLine, startGateway } from '../helpers/gateway-process.ts';

const AGAIN_AFTER_MS = 200;
/** Starts that fail without an excuse, before it is given up. */
const STARTS = 3;
const STOP_LIMIT_MS = 20_000;
/** The 10 s in which all must go on, and what a fault may last. */
const ANSWER_LIMIT_MS = 20_000;
const UP_LIMIT_MS = 30_000;

export interface KeptGatewayOptions {
  readonly dir: string;
  readonly config: object;
  readonly env: NodeJS.ProcessEnv;
  /** Whether a start may fail at present: the disk is full. */
  isStartExcused(): boolean;
  /** It is asked for that config now. */
  onReload(config: object): void;
  /** It is about to end, or has ended. */
  onDown(): void;
  /** It takes PUBLISHes, with that config. */
  onUp(config: object): void;
}

/** A gateway that is started again whenever it ends, as by a supervisor. Its ends and starts come one after the other. */
export class KeptGateway {
  readonly #options: KeptGatewayOptions;
  readonly #lines: LogLine[] = [];
  /** What it did that no fault excuses. */
  readonly failures: string[] = [];
  excusedStarts = 0;
  #config: object;
  #process: GatewayProcess | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosing = false;
  /** How many lines of each are with the lines to be judged already. */
  readonly #kept = new Map<GatewayProcess, number>();

  constructor(options: KeptGatewayOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** As it runs, or starts. */
  get config(): object {
    return this.#config;
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#start());
  }

  /** Ends it by that signal and starts it again after a while. Resolves when it takes PUBLISHes. */
  restart(signal: 'SIGKILL' | 'SIGTERM', downMs: number): Promise<void> {
    return this.#inTurn(async () => {
      const running = this.#process;
      this.#down();
      if (running !== undefined) await this.#end(running, signal);
      await delay(downMs);
      await this.#start();
    });
  }

  /** The process, when it takes PUBLISHes. */
  async running(): Promise<GatewayProcess> {
    return await eventually(
      () => {
        if (this.#process === undefined) throw new Error('the gateway is down');
        return this.#process;
      },
      { withinMs: UP_LIMIT_MS },
    );
  }

  /** Whether it is this process that takes PUBLISHes. */
  isUp(running: GatewayProcess): boolean {
    return this.#process === running;
  }

  /** Asks for that config. Resolves when there is an answer, or the process has ended before it gave one. */
  async reload(config: object): Promise<void> {
    const running = await this.running();
    const before = this.#config;
    const answers = (): LogLine[] =>
      running.logs().filter(({ event }) => String(event).startsWith('config-reload'));
    const seen = answers().length;
    this.#config = config;
    await this.#write(config);
    if (this.#process !== running) return; // the next start takes it
    this.#options.onReload(config);
    process.kill(running.pid, 'SIGHUP');
    const answer = await eventually(
      () => {
        if (this.#process !== running) return undefined;
        const [line] = answers().slice(seen);
        if (line === undefined) throw new Error('no answer to a reload');
        return line;
      },
      { withinMs: ANSWER_LIMIT_MS },
    );
    if (answer === undefined) return;
    if (answer['event'] !== 'config-reloaded') {
      this.#config = before;
      await this.#write(before);
    }
    this.#options.onUp(this.#config);
  }

  /** What it has logged since this was asked last. */
  newLines(): LogLine[] {
    if (this.#process !== undefined) this.#keep(this.#process);
    return this.#lines.splice(0);
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const running = this.#process;
    this.#process = undefined;
    await running?.kill();
    await this.#turn;
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #start(): Promise<void> {
    for (let failed = 0; !this.#isClosing; ) {
      const wasExcused = this.#options.isStartExcused();
      const config = this.#config;
      const { dir, env } = this.#options;
      try {
        const started = await startGateway({ config, dir, env });
        this.#watch(started);
        this.#process = started;
        this.#options.onUp(config);
        if (this.#isClosing) await started.kill();
        return;
      } catch (error) {
        if (wasExcused || this.#options.isStartExcused()) this.excusedStarts += 1;
        else {
          this.failures.push(`it does not start: ${error}`);
          if (++failed === STARTS) throw error;
        }
      }
      await delay(AGAIN_AFTER_MS);
    }
  }

  #watch(started: GatewayProcess): void {
    const ended = ({ code, signal }: ProcessExit): void => {
      this.#keep(started);
      if (this.#process !== started) return;
      this.#down();
      this.failures.push(`it ended by itself with ${code ?? signal}`);
      void this.start();
    };
    void started.exited.then(ended);
  }

  #down(): void {
    this.#process = undefined;
    this.#options.onDown();
  }

  async #end(running: GatewayProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (signal === 'SIGKILL') {
      await running.kill();
      return;
    }
    const late = setTimeout(() => {
      this.failures.push(`it does not stop within ${STOP_LIMIT_MS} ms`);
      void running.kill();
    }, STOP_LIMIT_MS);
    const code = await running.stop();
    clearTimeout(late);
    if (code !== 0) this.failures.push(`it stopped with ${code}`);
  }

  /** Moves what is new in its log to the lines that are to be judged. */
  #keep(one: GatewayProcess): void {
    const known = this.#kept.get(one) ?? 0;
    const lines = one.logs();
    this.#lines.push(...lines.slice(known));
    this.#kept.set(one, lines.length);
  }

  async #write(config: object): Promise<void> {
    await writeFile(join(this.#options.dir, 'config.yaml'), JSON.stringify(config));
  }
}
