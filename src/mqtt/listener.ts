import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { errorText, GatewayError } from '../shared/errors.ts';

/** Where to listen. Port 0 takes any free one. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has that port: stop it, or set another port',
  EACCES:
    'this user may not use that port: take one from 1024 on, or allow it (CAP_NET_BIND_SERVICE)',
  EADDRNOTAVAIL: 'this machine has no such address: set the host to one of its own, or to 0.0.0.0',
  ENOTFOUND: 'the host name is unknown: set the host to an address of this machine',
};

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
      throw listenFailure(this.#configured, error);
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

function listenFailure({ host, port }: ListenerAddress, cause: unknown): GatewayError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const advice = ADVICE[code] ?? errorText(cause);
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const text = `The MQTT listener cannot use ${at} because ${advice} (\`mqtt.listeners\` in the config).`;
  return new GatewayError('LISTENER_FAILED', text, cause);
}
