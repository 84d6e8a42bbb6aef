import type { ChannelModel } from 'amqplib';
import type { CloseReason } from '../delivery/ports.ts';
import { retryDelays } from '../delivery/retry-schedule.ts';
import { GatewayError } from '../shared/errors.ts';
import { type BrokerUrl, parseBrokerUrl } from './broker-url.ts';
import { dial, type TlsMaterial } from './dial.ts';
import type { Link, LinkListener } from './link.ts';
import { OpeningTurns } from './opening-turns.ts';
import { pause, untilAborted } from './pause.ts';

export interface AmqpConnectionOptions {
  /** At least one, in order of preference. */
  readonly urls: readonly string[];
  /** For `amqps://`; asked for at each attempt to connect. */
  readonly tls?: () => TlsMaterial;
  /** Shown in the broker's list of connections. Default `tidegate`. */
  readonly connectionName?: string;
  /** A silent broker is given up after two to three of these, in ms of whole seconds. Default 10 s. */
  readonly heartbeatMs?: number;
  /** Limit of one attempt, name lookup to connection.open-ok, in ms. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Bounds of the full-jitter back-off, in ms. Defaults 200 ms and 30 s. */
  readonly reconnect?: { readonly minMs: number; readonly maxMs: number };
  /** Time on another URL after which the preferred one is tried again, in ms. Default 5 min. */
  readonly failbackAfterMs?: number;
  /** Told of each failed attempt and each loss, once, for the log. Default: nobody is told. */
  readonly onTrouble?: (error: GatewayError) => void;
}

/** For metrics and health. */
export interface ConnectionState {
  readonly connected: boolean;
  /** The URL connected to, or else the one tried next, without its password. */
  readonly url: string;
  /** The broker's words, while it blocks publishers (connection.blocked). */
  readonly blockedReason?: string;
  /** The last failed attempt or loss, with its URL. Kept while connected, until the next `connected`. */
  readonly lastError?: string;
  /** Connections made after the first. */
  readonly reconnects: number;
}

/** What the connection tells a publisher, synchronously: `connected` and `lost` take turns. */
export interface ConnectionListener {
  connected(model: ChannelModel): void;
  lost(reason: CloseReason): void;
  blocked(reason: string): void;
  unblocked(): void;
}

const DEFAULTS = {
  connectionName: 'tidegate',
  heartbeatMs: 10_000, // RabbitMQ docs/heartbeats: 5 to 20 s suit most; less gives false alarms on slow links
  connectTimeoutMs: 10_000, // a handshake is 5 round trips; a bad mobile link has seconds of each
  reconnect: { minMs: 200, maxMs: 30_000 }, // doubling: 30 s is reached after 8 rounds
  failbackAfterMs: 300_000, // longer than the restart of a broker node, so that it is not met half up
};

/** Goodbye to a broker that may be frozen; stopping must not hang on it. */
const CLOSE_LIMIT_MS = 2_000;

/** A connection that held so long was healthy: the back-off begins anew and its loss is a new story. */
const HEALTHY_AFTER_MS = 10_000;

/**
 * A channel that is given up keeps its number until the broker answers. So many are let be, of the 2,047 that
 * RabbitMQ allows; then a new connection does away with them.
 */
const MOST_GIVEN_UP = 64;

/** A heartbeat is 8 bytes (AMQP 0-9-1 §4.2.7), and more in a TLS record. */
const HEARTBEAT_BYTES = 64;

const STOPPED: CloseReason = { scope: 'connection', text: 'stopped' };

/**
 * The one connection of all lanes. It is opened again for ever, with back-off, over an ordered list of
 * URLs: whatever ends a connection moves on to the next URL, and a pause comes after each full round.
 */
export class AmqpConnection {
  /** The lanes share it, so they share its opening too. */
  readonly openings: OpeningTurns = new OpeningTurns();
  readonly #urls: readonly BrokerUrl[];
  readonly #options: typeof DEFAULTS & AmqpConnectionOptions;
  readonly #listeners: Set<ConnectionListener> = new Set();
  readonly #stopping: AbortController = new AbortController();
  #running: Promise<void> | undefined;
  #link: Link | undefined;
  #urlIndex = 0;
  #connects = 0;
  #lastError: string | undefined;
  #givenUp = 0; // on the present connection

  /** @throws {GatewayError} CONFIG_INVALID for a URL that is none. */
  constructor(options: AmqpConnectionOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#urls = options.urls.map(parseBrokerUrl);
  }

  /** Starts to connect, for ever. Never throws for a broker that is away. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Closes the connection; an attempt in flight is ended. Takes 2 s at most with a frozen broker. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#link?.close(STOPPED, CLOSE_LIMIT_MS);
    await this.#running;
  }

  state(): ConnectionState {
    const blockedReason = this.#link?.blockedReason;
    return {
      connected: this.#link !== undefined,
      url: this.#urls[this.#urlIndex]?.redacted ?? '',
      ...(blockedReason === undefined ? {} : { blockedReason }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      reconnects: Math.max(0, this.#connects - 1),
    };
  }

  /** Adds a listener and tells it at once when there is a connection. The returned function takes it out. */
  subscribe(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    if (this.#link !== undefined) listener.connected(this.#link.model);
    return () => this.#listeners.delete(listener);
  }

  /** Drops the present connection, with what is unsent, and moves on to the next URL. */
  recycle(reason: string): void {
    this.#link?.giveUp({ scope: 'connection', text: reason });
  }

  /**
   * Listens from now on. The returned function tells whether the broker has said more since than heartbeats,
   * which prove only that its socket works; also true when the connection is another one by then.
   */
  listen(): () => boolean {
    const link = this.#link;
    const [sinceMs, bytesBefore] = [performance.now(), link?.bytesRead ?? 0];
    return () => {
      if (link === undefined || link !== this.#link) return true;
      // RabbitMQ sends one in half the time.
      const beats = 2 + (2 * (performance.now() - sinceMs)) / this.#options.heartbeatMs;
      return link.bytesRead - bytesBefore > beats * HEARTBEAT_BYTES;
    };
  }

  /** Notes that a channel was given up that the broker has not closed. Too many cost the connection. */
  channelGivenUp(): void {
    this.#givenUp += 1;
    if (this.#givenUp > MOST_GIVEN_UP) this.recycle(`${MOST_GIVEN_UP} channels without an answer`);
  }

  async #run(): Promise<void> {
    const signal = this.#stopping.signal;
    let delays = this.#retryDelays();
    let failures = 0; // since the last pause
    let link: Link | undefined;
    while (!signal.aborted) {
      link ??= await this.#dial(this.#urlIndex);
      if (link !== undefined) {
        const sinceMs = performance.now();
        link = await this.#hold(link);
        if (link !== undefined) continue; // moved back to the preferred URL
        if (performance.now() - sinceMs >= HEALTHY_AFTER_MS) {
          delays = this.#retryDelays();
          failures = 0;
        }
      }
      this.#urlIndex = (this.#urlIndex + 1) % this.#urls.length;
      failures += 1;
      if (failures < this.#urls.length) continue; // the next URL may well answer: no waiting before it
      failures = 0;
      await pause(delays.next().value, signal);
    }
    await link?.close(STOPPED, CLOSE_LIMIT_MS);
  }

  /** Serves one connection until it is lost. Resolves with the one that takes its place, if there is one. */
  async #hold(link: Link): Promise<Link | undefined> {
    if (this.#stopping.signal.aborted) await link.close(STOPPED, CLOSE_LIMIT_MS);
    if (link.lostSignal.aborted) return undefined;
    this.#adopt(link);
    if (this.#urlIndex === 0) {
      await untilAborted(link.lostSignal);
      return undefined;
    }
    const preferred = await this.#preferredLink(link.lostSignal);
    if (preferred === undefined) return undefined;
    this.#urlIndex = 0;
    await link.close(
      { scope: 'connection', text: 'moved back to the preferred URL' },
      CLOSE_LIMIT_MS,
    );
    return preferred;
  }

  /** Probes the preferred URL from time to time, by a connection of its own, until it answers. */
  async #preferredLink(untilLost: AbortSignal): Promise<Link | undefined> {
    while (!untilLost.aborted) {
      await pause(this.#options.failbackAfterMs, untilLost);
      const preferred = untilLost.aborted ? undefined : await this.#dial(0);
      if (preferred !== undefined) return preferred;
    }
    return undefined;
  }

  async #dial(urlIndex: number): Promise<Link | undefined> {
    const url = this.#urls[urlIndex];
    if (url === undefined) return undefined;
    try {
      return await dial(url, this.#options, (link) => this.#listenTo(link), this.#stopping.signal);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (!this.#stopping.signal.aborted) this.#trouble(error);
      return undefined;
    }
  }

  #adopt(link: Link): void {
    this.#link = link;
    this.#connects += 1;
    this.#givenUp = 0;
    this.#lastError = undefined;
    for (const listener of [...this.#listeners]) listener.connected(link.model);
  }

  /** A link that is not adopted yet tells nobody. */
  #listenTo(link: Link): LinkListener {
    return {
      lost: (reason) => {
        if (this.#link !== link) return;
        this.#link = undefined;
        if (!this.#stopping.signal.aborted) this.#trouble(lossError(this.state().url, reason));
        for (const listener of [...this.#listeners]) listener.lost(reason);
      },
      blocked: (reason) => {
        if (this.#link !== link) return;
        for (const listener of [...this.#listeners]) listener.blocked(reason);
      },
      unblocked: () => {
        if (this.#link !== link) return;
        for (const listener of [...this.#listeners]) listener.unblocked();
      },
    };
  }

  #trouble(error: GatewayError): void {
    this.#lastError = error.message;
    this.#options.onTrouble?.(error);
  }

  #retryDelays(): Generator<number, never, void> {
    return retryDelays(this.#options.reconnect);
  }
}

function lossError(url: string, reason: CloseReason): GatewayError {
  return new GatewayError('AMQP_UNREACHABLE', `${url}: connection lost: ${reason.text}`);
}
