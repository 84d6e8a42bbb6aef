import { BenchProcess } from './bench-process.ts';
import type { LoadOptions, LoadResult } from './load-options.ts';

/** Silence of a server that still owes PUBACKs, after `stop`, in ms. */
const PUBACK_PATIENCE_MS = 60_000;
const CEILING_MESSAGES = 400_000;

/** MQTT clients that publish, in a process of their own. All are connected. */
export class Load {
  readonly #process: BenchProcess;

  constructor(process: BenchProcess) {
    this.#process = process;
  }

  /** Connects all clients; nothing is published before `go`. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(BenchProcess.start('load-process.ts', options));
    await load.#process.said('connected');
    return load;
  }

  /** Starts to publish. */
  go(): void {
    this.#process.command('go');
  }

  /** PUBACKs so far; up to 100 ms old. */
  get acknowledged(): number {
    return Number(this.#process.last('progress')?.['acknowledged'] ?? 0);
  }

  /** Publishes nothing more; a server that owes PUBACKs gets a minute for them. */
  async stop(): Promise<LoadResult> {
    this.#process.command('stop');
    const timer = setTimeout(() => this.#process.command('abandon'), PUBACK_PATIENCE_MS);
    try {
      return await this.finished();
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Resolves when all is published and acknowledged.
   * @throws {Error} when a connection ends before.
   */
  async finished(): Promise<LoadResult> {
    const { result } = await this.#process.said('done');
    return result as LoadResult;
  }

  /** Drops all connections. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Connects, publishes, and resolves when all is acknowledged. */
  static async run(options: LoadOptions): Promise<LoadResult> {
    const load = await Load.start(options);
    load.go();
    return load.finished();
  }
}

/** What the load process can do at most, in acknowledged messages a second, with a server that does next to nothing. */
export async function loadCeiling(
  options: Pick<LoadOptions, 'clients' | 'window' | 'payloadBytes'>,
): Promise<number> {
  const server = BenchProcess.start('null-server.ts', {});
  const { port } = await server.said('listening');
  const { perSecond } = await Load.run({
    ...options,
    port: Number(port),
    messages: CEILING_MESSAGES,
  });
  await server.kill();
  return perSecond;
}
