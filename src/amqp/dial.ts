import { type ChannelModel, connect, type Options, type SocketOptions } from 'amqplib';
import { GatewayError } from '../shared/errors.ts';
import type { BrokerUrl } from './broker-url.ts';
import { connectError } from './connect-error.ts';
import { Link, type LinkListener } from './link.ts';

/** Key material of `amqps://`, as contents (PEM) and not as paths. */
export interface TlsMaterial {
  /** Certificates to trust instead of the system's. */
  readonly ca?: string | Buffer;
  /** Our own certificate and key, for brokers that ask for one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  /** Name to expect in the broker's certificate. Default: the host of the URL. */
  readonly servername?: string;
  /** False accepts any certificate: only for a bench. Default true. */
  readonly rejectUnauthorized?: boolean;
}

export interface DialOptions {
  readonly connectTimeoutMs: number;
  /** In ms of whole seconds, the unit of connection.tune. A URL with `?heartbeat=` (in s) goes first. */
  readonly heartbeatMs: number;
  /** Shown in the broker's list of connections. */
  readonly connectionName: string;
  /** Asked for at each attempt: what it gives may change. What it throws is told as the reason. */
  readonly tls?: () => TlsMaterial;
}

/**
 * Tries to open one connection, once. The limit covers name lookup, TCP, TLS and the AMQP handshake.
 * An abort ends it at once; on a link that is open it has no effect any more.
 * @throws {GatewayError} AMQP_UNREACHABLE, in words, without the password.
 */
export async function dial(
  url: BrokerUrl,
  options: DialOptions,
  listenerOf: (link: Link) => LinkListener,
  signal: AbortSignal,
): Promise<Link> {
  const socket = new AbortController();
  const destroySocket = (): void => socket.abort();
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    destroySocket();
  }, options.connectTimeoutMs);
  signal.addEventListener('abort', destroySocket, { once: true });
  try {
    if (signal.aborted) throw new Error('stopped');
    const model = await open(url, options, socket.signal);
    const link = new Link(model, destroySocket);
    link.watch(listenerOf(link));
    return link;
  } catch (error) {
    destroySocket();
    throw timedOut ? tooSlow(url, options.connectTimeoutMs, error) : connectError(error, url);
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', destroySocket);
  }
}

async function open(
  url: BrokerUrl,
  options: DialOptions,
  signal: AbortSignal,
): Promise<ChannelModel> {
  const target: Options.Connect = { heartbeat: options.heartbeatMs / 1000, ...url.target };
  // The signal goes through amqplib to the socket (net.connect and tls.connect take one): the only way to
  // end an attempt in flight, and to drop the socket of a frozen peer.
  const socketOptions: SocketOptions & { signal: AbortSignal } = {
    ...(url.secure ? options.tls?.() : {}),
    signal,
    noDelay: true, // a publish must not wait for the TCP ack of the one before (Nagle)
    clientProperties: { connection_name: options.connectionName },
  };
  return connect(target, socketOptions);
}

function tooSlow(url: BrokerUrl, limitMs: number, cause: unknown): GatewayError {
  const text = `${url.redacted}: no AMQP handshake within ${limitMs} ms; is the broker frozen or the link dead?`;
  return new GatewayError('AMQP_UNREACHABLE', text, cause);
}
