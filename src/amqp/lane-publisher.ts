import type { ChannelModel } from 'amqplib';
import type {
  CloseReason,
  Publisher,
  PublisherListener,
  PublishOutcome,
} from '../delivery/ports.ts';
import { retryDelays } from '../delivery/retry-schedule.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { LaneMessage } from '../shared/message.ts';
import type { AmqpConnection } from './connection.ts';
import { LaneChannel } from './lane-channel.ts';
import { channelWithin, NoAnswer } from './no-answer.ts';
import { pause, settledWithin, untilAborted } from './pause.ts';
import type { Topology } from './topology.ts';

export interface LanePublisherOptions {
  /** Name of the lane, part of each message-id. */
  readonly lane: string;
  readonly connection: AmqpConnection;
  readonly topology: Topology;
  /** Bounds of the full-jitter back-off between attempts to open, in ms. Defaults 200 ms and 30 s. */
  readonly reconnect?: { readonly minMs: number; readonly maxMs: number };
  /**
   * Longest wait for the answer to one step of opening (channel.open, queue.declare …), in ms. Default 30 s: as
   * long as for a confirm, because on a slow link both stand behind what the other lanes send.
   */
  readonly answerLimitMs?: number;
  /** Told of each failed attempt to open, once, for the log. Default: nobody is told. */
  readonly onTrouble?: (error: GatewayError) => void;
}

const DEFAULTS = { reconnect: { minMs: 200, maxMs: 30_000 }, answerLimitMs: 30_000 };

/** Goodbye to a channel; the broker may be frozen. */
const CLOSE_LIMIT_MS = 2_000;

/** A channel that held so long was healthy: the back-off begins anew. */
const HEALTHY_AFTER_MS = 10_000;

/**
 * One lane's confirm channel on the shared connection. What closes it (a missing exchange, a refused
 * write) closes no other lane's. At each opening the topology is put in place first.
 *
 * `onClosed` may come from inside `recycle` and `stop`, never from inside `publish`. `onBlocked` holds until
 * `onUnblocked` or `onClosed`.
 */
export class LanePublisher implements Publisher {
  readonly #options: typeof DEFAULTS & LanePublisherOptions;
  #listener: PublisherListener | undefined;
  #unsubscribe: () => void = () => {};
  #model: ChannelModel | undefined;
  #session: AbortController = new AbortController(); // lasts as long as one connection
  #opening: Promise<void> = Promise.resolve();
  #delays: Generator<number, never, void>;
  #channel: LaneChannel | undefined;
  #openedAtMs = 0;

  constructor(options: LanePublisherOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#delays = this.#retryDelays();
  }

  start(listener: PublisherListener): void {
    this.#listener = listener;
    this.#unsubscribe = this.#options.connection.subscribe({
      connected: (model) => {
        this.#model = model;
        this.#session = new AbortController();
        this.#delays = this.#retryDelays();
        this.#open(Promise.resolve(), true);
      },
      lost: (reason) => {
        this.#session.abort();
        if (this.#channel !== undefined) this.#tellClosed(this.#channel, reason);
      },
      blocked: (reason) => {
        if (this.#channel !== undefined) listener.onBlocked(reason);
      },
      unblocked: () => {
        if (this.#channel !== undefined) listener.onUnblocked();
      },
    });
  }

  publish(message: LaneMessage, done: (outcome: PublishOutcome) => void): void {
    if (this.#channel === undefined) throw new Error(`lane ${this.#options.lane} is not open`);
    this.#channel.publish(message, done);
  }

  recycle(scope: 'channel' | 'connection', reason: string): void {
    if (scope === 'connection') this.#options.connection.recycle(reason);
    else if (this.#channel !== undefined) this.#reopen({ scope, text: reason }, this.#channel);
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#session.abort();
    const channel = this.#channel;
    if (channel !== undefined) {
      this.#tellClosed(channel, { scope: 'channel', text: 'stopped' });
      await channel.close(CLOSE_LIMIT_MS);
    }
    await settledWithin(this.#opening, CLOSE_LIMIT_MS);
  }

  #tellClosed(channel: LaneChannel, reason: CloseReason): void {
    channel.abandon();
    this.#channel = undefined;
    this.#listener?.onClosed(reason);
  }

  #reopen(reason: CloseReason, channel: LaneChannel): void {
    if (this.#channel !== channel) return;
    // One that took messages was healthy too: the message that closed it must not slow down all behind it.
    const held = performance.now() - this.#openedAtMs >= HEALTHY_AFTER_MS;
    if (held || channel.hasConfirmed) this.#delays = this.#retryDelays();
    this.#tellClosed(channel, reason);
    this.#open(this.#farewell(channel, this.#session.signal), false);
  }

  /** The old channel ends first: what it still carries must not mix with what is published again. */
  async #farewell(channel: LaneChannel, signal: AbortSignal): Promise<void> {
    await Promise.race([channel.close(CLOSE_LIMIT_MS), untilAborted(signal)]);
    await pause(this.#delays.next().value, signal);
  }

  /** One attempt after the other: an older one that is ending must not overlap with the new. */
  #open(ready: Promise<void>, trustsRecent: boolean): void {
    const model = this.#model;
    const signal = this.#session.signal;
    if (model === undefined) return;
    this.#opening = Promise.all([this.#opening, ready]).then(() =>
      this.#openAtLast(model, signal, trustsRecent),
    );
  }

  /** What failed or was lost once may be so because something recent is there no more. */
  async #openAtLast(
    model: ChannelModel,
    signal: AbortSignal,
    trustsRecent: boolean,
  ): Promise<void> {
    for (let isTrusting = trustsRecent; !signal.aborted; isTrusting = false) {
      const endTurn = await this.#options.connection.openings.take(signal);
      const channel = await this.#tryOpen(model, signal, isTrusting);
      endTurn();
      if (channel === undefined) {
        await pause(this.#delays.next().value, signal);
      } else if (signal.aborted) {
        await channel.close(CLOSE_LIMIT_MS);
      } else {
        this.#channel = channel;
        this.#openedAtMs = performance.now();
        return this.#tellOpen();
      }
    }
  }

  async #tryOpen(
    model: ChannelModel,
    signal: AbortSignal,
    trustsRecent: boolean,
  ): Promise<LaneChannel | undefined> {
    const { lane, topology, connection, answerLimitMs, onTrouble } = this.#options;
    const patience = { limitMs: answerLimitMs, lost: signal };
    const hasHeard = connection.listen();
    try {
      const onLost = (reason: CloseReason, channel: LaneChannel): void =>
        this.#reopen(reason, channel);
      const options = { lane, exchange: topology.exchange.name, onLost };
      const opening = LaneChannel.open(model, options);
      const channel = await channelWithin(patience, opening, (late) => {
        void late.close(CLOSE_LIMIT_MS);
      });
      await channel.ensureTopology(topology, patience, trustsRecent);
      if (!channel.isLive) throw new Error('the broker has closed the channel at once');
      return channel;
    } catch (error) {
      // With the connection gone it is no fault of the lane, and the connection tells it.
      if (signal.aborted) return undefined;
      onTrouble?.(openError(lane, error));
      if (error instanceof NoAnswer) {
        if (error.isForChannel && !hasHeard()) connection.recycle(errorText(error));
        else connection.channelGivenUp();
      }
      return undefined;
    }
  }

  #tellOpen(): void {
    this.#listener?.onOpen();
    const { blockedReason } = this.#options.connection.state();
    if (this.#channel !== undefined && blockedReason !== undefined)
      this.#listener?.onBlocked(blockedReason);
  }

  #retryDelays(): Generator<number, never, void> {
    return retryDelays(this.#options.reconnect);
  }
}

function openError(lane: string, error: unknown): GatewayError {
  const code = error instanceof GatewayError ? error.code : 'AMQP_UNREACHABLE';
  return new GatewayError(code, `lane ${lane}: ${errorText(error)}`, error);
}
