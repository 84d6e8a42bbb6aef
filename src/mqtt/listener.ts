import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { listenFailure } from '../shared/listen-failure.ts';

/** Where to listen. Port 0 takes any free one. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

/** How the listener is called when it cannot be opened. */
const LISTENER = { name: 'MQTT', place: '`mqtt.listeners` in the config' };

/** One listening TCP socket for MQTT. */
export class Listener {
  readonly #configured: ListenerAddress;
  readonly #server: Server;

  constructor(configured: ListenerAddress, onConnection: (socket: Socket) => void) {
    this.#configured = configured;
    // Without Nagle's delay: a PUBACK is 4 bytes and must not wait for the next one.
    this.#server = createServer({ noDelay: true }, onConnection);
  }

  /** Resolves when clients can connect. @throws {GatewayError} LISTENER_FAILED with what to do. */
  async open(): Promise<void> {
    try {
      this.#server.listen(this.#configured.port, this.#configured.host);
      await once(this.#server, 'listening');
    } catch (error) {
      throw listenFailure({ ...LISTENER, ...this.#configured }, error);
    }
  }

  /** The address with its real port. */
  get address(): ListenerAddress {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') return this.#configured;
    return { host: bound.address, port: bound.port };
  }

  /** Accepts no more connections; those there are stay. */
  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
