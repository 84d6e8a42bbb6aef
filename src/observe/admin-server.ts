import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GatewayError } from '../shared/errors.ts';
import { listenFailure } from '../shared/listen-failure.ts';
import { answerRequest } from './admin-dispatch.ts';
import type { AdminResponse, AdminRoutes } from './admin-routes.ts';
import type { Log } from './log.ts';

/** Probes, a scraper and some browsers: more are a fault or an attack, and each costs memory. */
const MAX_CONNECTIONS = 64;
/** A request line and a browser's headers are far smaller. */
const MAX_HEADER_BYTES = 8 * 1024;

/** How the listener is called when it cannot be opened. */
const LISTENER = { name: 'admin', place: 'section `admin` of the config' };

/** How long a peer may take, in ms. */
export interface AdminTimeouts {
  /** From the connection to the end of the headers. Default 5000. */
  readonly headersMs: number;
  /** From the connection to the end of the request. Default 10000. */
  readonly requestMs: number;
  /** Silence in either direction, while answering too. Default 30000. */
  readonly idleMs: number;
  /** How long `close` waits for answers under way. Default 1000. */
  readonly closeMs: number;
}

const DEFAULT_TIMEOUTS: AdminTimeouts = {
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 30_000,
  closeMs: 1_000,
};

export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes any free port, see `address()`. */
  readonly port: number;
  readonly routes: AdminRoutes;
  readonly log: Pick<Log, 'warn' | 'error'>;
  readonly timeouts?: Partial<AdminTimeouts>;
  /** Further connections are closed at once. Default 64. */
  readonly maxConnections?: number;
}

/**
 * The HTTP listener for the people who run the gateway. No request can stop the process: a handler that
 * fails answers 500. It has no authentication; who may reach it is decided by `host`.
 */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #timeouts: AdminTimeouts;
  #server: Server | undefined;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  }

  /**
   * Resolves when connections are accepted.
   * @throws {GatewayError} LISTENER_FAILED when host and port cannot be used.
   */
  async start(): Promise<void> {
    const server = this.#createServer();
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenFailure({ ...LISTENER, host, port }, error)));
      server.listen(port, host, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (err) => this.#options.log.error({ err }, 'The admin listener has failed.'));
    this.#server = server;
  }

  /**
   * Where it listens.
   * @throws {GatewayError} LISTENER_FAILED when it does not.
   */
  address(): AddressInfo {
    const address = this.#server?.address();
    if (typeof address !== 'object' || address === null) {
      throw new GatewayError('LISTENER_FAILED', 'The admin listener is not started.');
    }
    return address;
  }

  /** Takes no more connections, lets answers under way finish for a second, and cuts the rest. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const timer = setTimeout(() => server.closeAllConnections(), this.#timeouts.closeMs);
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
    clearTimeout(timer);
  }

  #createServer(): Server {
    const { headersMs, requestMs, idleMs } = this.#timeouts;
    const server = createServer(
      {
        headersTimeout: headersMs,
        requestTimeout: requestMs,
        // Node looks for late requests only this often.
        connectionsCheckingInterval: Math.min(1_000, headersMs),
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      (request, response) => {
        void this.#handle(request, response);
      },
    );
    server.timeout = idleMs;
    server.maxConnections = this.#options.maxConnections ?? MAX_CONNECTIONS;
    return server;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A peer that has gone meanwhile is no fault of ours.
    response.on('error', () => {});
    const { routes, log } = this.#options;
    try {
      sendAnswer(request, response, await answerRequest(request, routes, log));
    } catch (err) {
      log.error({ err, path: request.url }, 'An admin answer could not be sent.');
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  }
}

function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: AdminResponse,
): void {
  const body = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // What is left of a body that was not read must not be taken for the next request.
    ...(request.complete ? {} : { connection: 'close' }),
    ...answer.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
