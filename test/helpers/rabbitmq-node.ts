import { type ChildProcess, execFile, type SpawnOptions } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from 'amqplib';
import { exitOf, spawnOwned } from './child-process.ts';
import { freePort } from './free-port.ts';
import {
  NODE_NAME,
  type NodePorts,
  type NodeSettings,
  nodeEnvironment,
  writeNodeFiles,
} from './rabbitmq-files.ts';

/** Where Debian's package puts the scripts that run as any user (those in /usr/sbin want root). */
const SCRIPTS = '/usr/lib/rabbitmq/bin';
/** A start takes about 5 s on two free cores; tests share them with other work. */
const START_LIMIT_MS = 90_000;
const POLL_MS = 50;
const GRACEFUL_STOP_LIMIT_MS = 30_000;
const REGISTRATION_LIMIT_MS = 10_000;
const LOG_TAIL_CHARS = 3_000;

export interface RabbitNodeOptions {
  /** Plugins to enable, such as `rabbitmq_mqtt`. Default none. */
  readonly plugins?: readonly string[];
  /** More lines for rabbitmq.conf. */
  readonly config?: string;
  /** Folder of all the node's files, made if missing. Default a new one in the temp folder. */
  readonly dir?: string;
  /** Command to run the node under, which must end in an exec of it: `['strace', '-D', …]`. */
  readonly wrapper?: readonly string[];
}

/** A private RabbitMQ of one node on 127.0.0.1, with its own ports, epmd, cookie and files. */
export class RabbitNode {
  readonly #dir: string;
  readonly #ports: NodePorts;
  readonly #settings: NodeSettings;
  readonly #wrapper: readonly string[];
  readonly #removeDir = (): void => rmSync(this.#dir, { recursive: true, force: true });
  #beam: ChildProcess | undefined;
  #epmd: ChildProcess | undefined;

  constructor(
    dir: string,
    ports: NodePorts,
    settings: NodeSettings,
    wrapper: readonly string[] = [],
  ) {
    this.#dir = dir;
    this.#ports = ports;
    this.#settings = settings;
    this.#wrapper = wrapper;
  }

  /** Port of AMQP 0-9-1; it stays the same over restarts. */
  get port(): number {
    return this.#ports.amqp;
  }

  /** AMQP URL of the user guest. */
  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.#ports.amqp}`;
  }

  /** Folder of the node's files; its logs are in `log`. */
  get dir(): string {
    return this.#dir;
  }

  /** Process id of the Erlang VM. */
  get pid(): number {
    if (this.#beam?.pid === undefined) throw new Error('the RabbitMQ node does not run');
    return this.#beam.pid;
  }

  /**
   * Starts the node with the data it has; resolves when AMQP accepts a login.
   * @throws {Error} with the end of its logs when it does not come up.
   */
  async start(): Promise<void> {
    if (this.#beam !== undefined) throw new Error('the RabbitMQ node runs already');
    await writeNodeFiles(this.#dir, this.#ports, this.#settings);
    const options: SpawnOptions = {
      cwd: this.#dir,
      env: nodeEnvironment(this.#dir, this.#ports),
      stdio: ['ignore', 'pipe', 'pipe'],
    };
    // Left to itself the VM would start an epmd that stays for ever.
    this.#epmd ??= spawnOwned('epmd', ['-port', `${this.#ports.epmd}`], options);
    await this.#waitFor(() => acceptsTcp(this.#ports.epmd), this.#epmd, 'epmd');
    process.off('exit', this.#removeDir).on('exit', this.#removeDir);
    const server = `${SCRIPTS}/rabbitmq-server`;
    const [first = server, ...rest] = [...this.#wrapper, server];
    const beam = spawnOwned(first, rest, options);
    this.#beam = beam;
    await this.#waitFor(() => acceptsLogin(this.url), beam, 'rabbitmq-server');
  }

  /** Runs rabbitmqctl against the node and resolves with what it printed. Takes about a second. */
  async ctl(...args: string[]): Promise<string> {
    const env = nodeEnvironment(this.#dir, this.#ports);
    const { stdout } = await promisify(execFile)(`${SCRIPTS}/rabbitmqctl`, ['--quiet', ...args], {
      env,
    });
    return stdout;
  }

  /**
   * Resolves when a quorum queue of the virtual host `/` will outlive `kill`. RabbitMQ 3.10 writes the queue's
   * registration up to a second after it was declared, and confirms messages meanwhile: killed before, it
   * comes back with a queue that is empty or broken.
   * @throws {Error} when there is no such queue within some seconds.
   */
  async queueRegistered(queue: string): Promise<void> {
    const deadlineMs = performance.now() + REGISTRATION_LIMIT_MS;
    const file = join(this.#dir, 'data', NODE_NAME, 'quorum', NODE_NAME, 'names.dets');
    while (!(await readFile(file).catch(() => '')).includes(`%2F_${queue}`)) {
      if (performance.now() > deadlineMs) throw new Error(`no quorum queue ${queue} in ${file}`);
      await delay(POLL_MS);
    }
  }

  /** Ends the node as a power cut would (SIGKILL); `start` brings it back. See `queueRegistered`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Shuts the node down in an orderly way and keeps its data; `start` brings it back. */
  async shutDown(): Promise<void> {
    this.thaw();
    await this.#end('SIGTERM');
  }

  /** Shuts the node down in an orderly way if it runs, and removes all that it had. */
  async stop(): Promise<void> {
    await this.shutDown();
    this.#epmd?.kill('SIGKILL');
    if (this.#epmd !== undefined) await exitOf(this.#epmd);
    this.#epmd = undefined;
    process.off('exit', this.#removeDir);
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Stops the node's process (SIGSTOP): its connections stay open and silent. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  /** Lets a frozen node go on. */
  thaw(): void {
    this.#beam?.kill('SIGCONT');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const beam = this.#beam;
    if (beam === undefined) return;
    this.#beam = undefined;
    beam.kill(signal);
    const killer = setTimeout(() => beam.kill('SIGKILL'), GRACEFUL_STOP_LIMIT_MS);
    await exitOf(beam);
    clearTimeout(killer);
  }

  async #waitFor(isUp: () => Promise<boolean>, child: ChildProcess, name: string): Promise<void> {
    let output = '';
    const keepTail = (text: Buffer): void => {
      output = (output + text).slice(-LOG_TAIL_CHARS);
    };
    child.stdout?.on('data', keepTail);
    child.stderr?.on('data', keepTail);
    let failure: string | undefined;
    exitOf(child).then(
      (exit) => {
        failure ??= `ended with ${exit.code ?? exit.signal}`;
      },
      (error: unknown) => {
        failure ??= String(error);
      },
    );
    const deadlineMs = performance.now() + START_LIMIT_MS;
    while (!(await isUp())) {
      if (performance.now() > deadlineMs) failure ??= `was not up within ${START_LIMIT_MS} ms`;
      if (failure !== undefined) {
        const logs = await readLogs(this.#dir);
        await this.kill();
        throw new Error(`${name} ${failure}\n${output}\n${logs}`);
      }
      await delay(POLL_MS);
    }
  }
}

/** Starts a private node; resolves when AMQP accepts a login, after about 5 to 10 s. */
export async function startRabbitNode(options: RabbitNodeOptions = {}): Promise<RabbitNode> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'tidegate-rabbitmq-')));
  const ports = {
    amqp: await freePort(),
    distribution: await freePort(),
    epmd: await freePort(),
  };
  const settings = { plugins: options.plugins ?? [], config: options.config ?? '' };
  const wrapper = options.wrapper ?? [];
  const node = new RabbitNode(dir, ports, settings, wrapper);
  await node.start();
  return node;
}

function acceptsTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function acceptsLogin(url: string): Promise<boolean> {
  try {
    const connection = await connect(url);
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

async function readLogs(dir: string): Promise<string> {
  const logs = join(dir, 'log');
  const names = await readdir(logs).catch(() => []);
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.log')).map((name) => readFile(join(logs, name), 'utf8')),
  );
  return texts.join('\n').slice(-LOG_TAIL_CHARS);
}
