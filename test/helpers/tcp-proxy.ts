import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';
import { type Shape, TcpPipe } from './tcp-pipe.ts';

export interface TcpProxyOptions {
  readonly targetPort: number;
  /** Default 127.0.0.1. */
  readonly targetHost?: string;
}

/** A TCP proxy on 127.0.0.1 that can be as bad as an uplink: away, silent, slow, narrow. */
export class TcpProxy {
  /** Where to connect to; it stays the same over `cut` and `restore`. */
  readonly port: number;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #shape: Shape = { stalled: false, latencyMs: 0, bytesPerSecond: undefined };
  readonly #sockets = new Set<Socket>();
  readonly #pipes = new Set<TcpPipe>();
  #accepted = 0;

  constructor(port: number, options: TcpProxyOptions) {
    this.port = port;
    this.#target = { host: options.targetHost ?? '127.0.0.1', port: options.targetPort };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
      this.#relay(client),
    );
  }

  /** How many connections it has accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How many connections are open now. */
  get open(): number {
    return this.#pipes.size / 2;
  }

  /** Bytes that stall, latency or throttle hold back now. */
  get heldBytes(): number {
    let sum = 0;
    for (const pipe of this.#pipes) sum += pipe.heldBytes;
    return sum;
  }

  /** Resets all connections and refuses new ones. */
  async cut(): Promise<void> {
    this.resetAll();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Accepts connections again; also how it starts. Stall, latency and throttle stay as they are. */
  async restore(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /**
   * Goes silent: connections stay open and new ones are accepted, but no byte, end or reset gets through,
   * as when a link is gone and nobody has said so.
   */
  stall(): void {
    this.#reshape({ stalled: true });
  }

  /** Ends a stall: what was held is passed on. */
  flow(): void {
    this.#reshape({ stalled: false });
  }

  /** Holds back what comes from now on for so long in each direction, in ms; order is kept. */
  latency(latencyMs: number): void {
    this.#reshape({ latencyMs });
  }

  /** Limits each direction of each connection; undefined lifts the limit. */
  throttle(bytesPerSecond: number | undefined): void {
    this.#reshape({ bytesPerSecond });
  }

  /** Resets (RST) all connections on both sides and goes on accepting. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Resets all and stops for good. */
  async close(): Promise<void> {
    await this.cut();
  }

  #reshape(change: Partial<Shape>): void {
    Object.assign(this.#shape, change);
    for (const pipe of this.#pipes) pipe.wake();
  }

  #relay(client: Socket): void {
    this.#accepted++;
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const pipes = [
      new TcpPipe(client, upstream, this.#shape),
      new TcpPipe(upstream, client, this.#shape),
    ];
    for (const pipe of pipes) {
      this.#pipes.add(pipe);
      pipe.start();
    }
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        if (!this.#sockets.has(client) && !this.#sockets.has(upstream)) {
          for (const pipe of pipes) this.#pipes.delete(pipe);
        }
      });
    }
  }
}

/** Starts a proxy in front of a port; it lets all through until it is told otherwise. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = new TcpProxy(await freePort(), options);
  await proxy.restore();
  return proxy;
}
