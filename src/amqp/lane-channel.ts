import { type ChannelModel, type ConfirmChannel, IllegalOperationError } from 'amqplib';
import type { CloseReason, PublishOutcome } from '../delivery/ports.ts';
import { errorText } from '../shared/errors.ts';
import type { LaneMessage } from '../shared/message.ts';
import { noteClosedByBroker, numbersReusable } from './channel-drain.ts';
import { ChannelOutput } from './channel-output.ts';
import type { Patience } from './no-answer.ts';
import { settledWithin } from './pause.ts';
import { bodyApart, PublishFrames } from './publish-frames.ts';
import { replyCodeOf } from './reply-code.ts';
import { ensureTopology, type Topology } from './topology.ts';
import { Unanswered } from './unanswered.ts';

/** What distinguishes the channels of two lanes. */
export interface LaneChannelOptions {
  readonly lane: string;
  readonly exchange: string;
  /**
   * Told once when the broker closes this channel alone. A channel that goes down with its connection
   * stays silent: the connection tells that.
   */
  readonly onLost: (reason: CloseReason, channel: LaneChannel) => void;
}

type Done = (outcome: PublishOutcome) => void;

const CONFIRMED: PublishOutcome = { kind: 'confirmed' };
const NACKED: PublishOutcome = { kind: 'nacked' };

/** AMQP 0-9-1 syntax-error: what the broker would say of a message that cannot be put into frames. */
const SYNTAX_ERROR = 502;

/** One open confirm channel of one lane, until it is lost. Then no outcome comes any more. */
export class LaneChannel {
  readonly #model: ChannelModel;
  readonly #channel: ConfirmChannel;
  readonly #options: LaneChannelOptions;
  readonly #unanswered: Unanswered;
  readonly #output: ChannelOutput;
  readonly #frames: PublishFrames;
  #live = true;
  /** The broker has confirmed something on it. */
  hasConfirmed = false;
  #lostAlone = false;

  constructor(model: ChannelModel, channel: ConfirmChannel, options: LaneChannelOptions) {
    this.#model = model;
    this.#channel = channel;
    this.#options = options;
    this.#unanswered = new Unanswered(options.lane);
    this.#output = new ChannelOutput(channel);
    const { number, frameMax } = this.#output;
    this.#frames = new PublishFrames({ ...options, channel: number, frameMax });
  }

  /** Opens a channel in confirm mode (confirm.select). */
  static async open(model: ChannelModel, options: LaneChannelOptions): Promise<LaneChannel> {
    await numbersReusable(model);
    const channel = new LaneChannel(model, await model.createConfirmChannel(), options);
    channel.#watch();
    return channel;
  }

  /**
   * Makes sure of exchanges and queues; see {@link ensureTopology}. On this channel, before it carries a message: one more
   * to open and close for each lane would be a third of all that 1,000 lanes have to ask.
   */
  ensureTopology(topology: Topology, patience: Patience, trustsRecent: boolean): Promise<void> {
    const context = { model: this.#model, channel: this.#channel, patience, trustsRecent };
    return ensureTopology(context, topology);
  }

  /** As `Publisher.publish`. A message that does not fit into AMQP frames is answered as returned, code 502. */
  publish(message: LaneMessage, done: Done): void {
    if (!this.#live) return; // its loss is being told
    try {
      const frames = this.#frames.encode(message);
      const tag = this.#unanswered.nextTag;
      this.#output.send(frames, bodyApart(message), (error) => {
        if (this.#live) done(this.#outcomeOf(tag, error));
      });
      this.#unanswered.add(message);
    } catch (error) {
      // Later, never from inside publish. It is encoded before it is sent: nothing has left.
      queueMicrotask(() => this.#failed(error, done));
    }
  }

  /** From now on no outcome comes and no loss is told. */
  abandon(): void {
    this.#live = false;
    this.#unanswered.clear();
    this.#output.drop();
  }

  /** False once it is lost or abandoned. */
  get isLive(): boolean {
    return this.#live;
  }

  /** Abandons the channel and says goodbye to the broker (channel.close) for `limitMs` at most. */
  async close(limitMs: number): Promise<void> {
    this.abandon();
    // A channel.close on a channel that the broker has closed would cost the connection (504).
    if (this.#lostAlone) return;
    await settledWithin(this.#channel.close(), limitMs);
  }

  #watch(): void {
    this.#channel.on('error', (error) => {
      noteClosedByBroker(this.#model, this.#channel);
      this.#lost(error);
    });
    // Before amqplib's own listener, which answers all open publishes with an error that looks like a nack.
    this.#channel.prependListener('close', () => this.abandon());
    this.#channel.on('return', (returned) => {
      if (this.#live) this.#unanswered.returned(returned);
    });
  }

  #outcomeOf(tag: number, error: unknown): PublishOutcome {
    const returned = this.#unanswered.answered(tag);
    if (error !== null && error !== undefined) return NACKED;
    this.hasConfirmed = true;
    return returned ?? CONFIRMED;
  }

  #failed(error: unknown, done: Done): void {
    if (!this.#live) return;
    if (error instanceof IllegalOperationError) this.#lost(error);
    else done({ kind: 'returned', replyCode: SYNTAX_ERROR, replyText: errorText(error) });
  }

  #lost(error: unknown): void {
    if (!this.#live) return;
    this.abandon();
    this.#lostAlone = true;
    const replyCode = replyCodeOf(error);
    const code = replyCode === undefined ? {} : { replyCode };
    this.#options.onLost({ scope: 'channel', ...code, text: errorText(error) }, this);
  }
}
