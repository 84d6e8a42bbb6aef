import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { exitOf, spawnOwned } from '../helpers/child-process.ts';

/** A line that a process of the bench said. */
export type Line = Readonly<Record<string, unknown>>;

const ERROR_TAIL_CHARS = 2_000;

/** A script of this folder as a process of its own that says JSON lines and takes commands. */
export class BenchProcess {
  readonly #child: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #waiting = new Set<() => void>();
  #errors = '';
  #ended = false;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts `script`, a path from this folder, with its options as JSON. */
  static start(script: string, options: object, execArgv: readonly string[] = []): BenchProcess {
    const file = fileURLToPath(new URL(script, import.meta.url));
    const args = ['--import', 'tsx', ...execArgv, file, JSON.stringify(options)];
    const child = spawnOwned(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const started = new BenchProcess(child);
    started.#listen();
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  command(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** The last line of that event so far. */
  last(event: string): Line | undefined {
    return this.#lines.findLast((line) => line['event'] === event);
  }

  /**
   * Resolves with the first line of that event.
   * @throws {Error} when the process ends without it, or says `failed`.
   */
  async said(event: string): Promise<Line> {
    for (;;) {
      const line = this.#lines.find((each) => each['event'] === event);
      if (line !== undefined) return line;
      const failed = this.last('failed');
      if (failed !== undefined) throw new Error(String(failed['reason']));
      if (this.#ended) throw new Error(`ended before it said "${event}": ${this.#errors}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await exitOf(this.#child);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await exitOf(this.#child);
  }

  #listen(): void {
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    stderr.on('data', (text) => {
      this.#errors = (this.#errors + String(text)).slice(-ERROR_TAIL_CHARS);
    });
    const lines = createInterface({ input: stdout });
    lines.on('line', (text) => {
      const line = JSON.parse(text) as Line;
      const { event } = line;
      // Of what comes again and again only the last is kept.
      const at =
        event === 'progress' ? this.#lines.findIndex((each) => each['event'] === event) : -1;
      if (at >= 0) this.#lines[at] = line;
      else this.#lines.push(line);
      this.#wake();
    });
    lines.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
