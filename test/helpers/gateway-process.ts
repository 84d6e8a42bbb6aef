import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { exitOf, type ProcessExit, spawnOwned } from './child-process.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const READY_LIMIT_MS = 15_000;
const WRAPPER_END_LIMIT_MS = 2_000;
/** Enough to see why a start failed, bounded for runs of hours. */
const LOG_LIMIT_LINES = 20_000;
const SHOWN_LINES = 40;

/** A line the gateway logged; one that was no JSON object has its text in `raw`. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** The whole config; written as a file, JSON being YAML. */
  readonly config: object;
  /** Working folder, and where the config file goes. Made if missing. */
  readonly dir: string;
  /** Added to the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Options of node itself, such as `--max-old-space-size=64`. */
  readonly execArgv?: readonly string[];
  /** Command to run node under, such as `['strace', '-f', …]`. */
  readonly wrapper?: readonly string[];
  /** Time until it must be ready, in ms. Default 15 s. */
  readonly readyLimitMs?: number;
}

/** A gateway as a process of its own. */
export class GatewayProcess {
  /** Resolves when it has ended, however that came. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  #pid: number | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.exited = exitOf(child);
  }

  /** Process id of node itself, also under a wrapper. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error('the gateway is not ready yet');
    return this.#pid;
  }

  /** What it has logged so far, on stdout and stderr. */
  logs(): readonly LogLine[] {
    return this.#lines;
  }

  /** Ends it as a power cut would, and waits for the end. */
  async kill(): Promise<void> {
    // A tracer as wrapper would let the gateway live on, were it killed first; it ends by itself.
    await this.#signal('SIGKILL');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), WRAPPER_END_LIMIT_MS);
    await this.exited;
    clearTimeout(timer);
  }

  /** Asks it to shut down (SIGTERM); resolves with its exit code, null if a signal ended it. */
  async stop(): Promise<number | null> {
    await this.#signal('SIGTERM');
    return (await this.exited).code;
  }

  /** Resident memory of node, in bytes. */
  rssBytes(): Promise<number> {
    return this.#statusBytes('VmRSS');
  }

  /** Of it what is no file: the pages of LevelDB's tables, which are mapped, the system can take back at any time. */
  anonymousBytes(): Promise<number> {
    return this.#statusBytes('RssAnon');
  }

  async #statusBytes(field: string): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    if (kib === undefined) throw new Error(`process ${this.pid} has no resident memory`);
    return Number(kib) * 1024;
  }

  /**
   * Resolves when the gateway has logged `ready`.
   * @throws {Error} with the end of its logs when it has not in time, or ended; it is killed then.
   */
  async waitUntilReady(limitMs: number = READY_LIMIT_MS): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`not ready within ${limitMs} ms`)),
          limitMs,
        );
        this.#collect(resolve);
        this.exited.then(
          ({ code, signal }) =>
            reject(new Error(`ended with ${code ?? signal} before it was ready`)),
          reject,
        );
        this.exited.finally(() => clearTimeout(timer)).catch(() => {});
      });
      this.#pid = await findNode(this.#child.pid);
    } catch (error) {
      await this.kill();
      const shown = this.#lines
        .slice(-SHOWN_LINES)
        .map((line) => line['raw'] ?? JSON.stringify(line));
      throw new Error(`the gateway did not start: ${error}\n${shown.join('\n')}`, { cause: error });
    }
  }

  #collect(onReady: () => void): void {
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (text) => {
        const line = parseLine(text);
        this.#lines.push(line);
        if (this.#lines.length > LOG_LIMIT_LINES) this.#lines.shift();
        if (line['event'] === 'ready') onReady();
      });
    }
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const pid = this.#pid ?? (await findNode(this.#child.pid).catch(() => undefined));
    try {
      if (pid !== undefined) process.kill(pid, signal);
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

/** Starts `dist/main.js run` with this config and waits until it is ready to take PUBLISHes. */
export async function startGateway(options: GatewayOptions): Promise<GatewayProcess> {
  await mkdir(options.dir, { recursive: true });
  const file = join(options.dir, 'config.yaml');
  await writeFile(file, JSON.stringify(options.config, undefined, 2));
  const command = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...(options.execArgv ?? []),
    MAIN,
    'run',
    '--config',
    file,
  ];
  const [first = process.execPath, ...rest] = command;
  const child = spawnOwned(first, rest, {
    cwd: options.dir,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gateway = new GatewayProcess(child);
  await gateway.waitUntilReady(options.readyLimitMs);
  return gateway;
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : { raw: text };
  } catch {
    return { raw: text };
  }
}

/** The first process from `pid` down that is node. */
async function findNode(pid: number | undefined): Promise<number> {
  const waiting = pid === undefined ? [] : [pid];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const executable = await readlink(`/proc/${next}/exe`).catch(() => '');
    if (basename(executable) === basename(process.execPath)) return next;
    for (const task of await readdir(`/proc/${next}/task`).catch(() => [])) {
      const children = await readFile(`/proc/${next}/task/${task}/children`, 'utf8').catch(
        () => '',
      );
      waiting.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  throw new Error(`no node process at ${pid} or below`);
}
