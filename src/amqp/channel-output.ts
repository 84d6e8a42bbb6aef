import type { PassThrough } from 'node:stream';
import { type ConfirmChannel, IllegalOperationError } from 'amqplib';

type Confirmed = (error: unknown) => void;

/**
 * What the gateway uses of amqplib 2.3.1 without its type declarations promising it. The version is pinned; whoever
 * moves it reads this file against `sendMessage` and `sendContent` in `amqplib/lib/connection.js` and `publish` of the
 * ConfirmChannel in `channel_model.js`, and runs test/integration/amqp*.
 */
interface ChannelInternals {
  readonly ch: number;
  readonly connection: ConnectionInternals;
  /** The order of the calls is that of the delivery tags. */
  pushConfirmCallback(confirmed: Confirmed): void;
}

interface ConnectionInternals {
  readonly frameMax: number;
  /** By number; null when the channel is closed. */
  readonly channels: readonly (ChannelSlot | null)[];
  /** Else the heartbeat sends one of its own. */
  sentSinceLastCheck: boolean;
  /** Replaced when the connection is closed. */
  readonly sendMessage: unknown;
  sendContent(channel: number, content: Buffer): boolean;
}

interface ChannelSlot {
  /** What is written goes out in turns with the other channels, as the socket takes it. */
  readonly buffer: PassThrough;
}

/** A confirm channel's way out for frames that are encoded already. */
export class ChannelOutput {
  readonly #channel: ChannelInternals;
  readonly #slot: ChannelSlot | null | undefined;
  readonly #open: unknown;
  #chunks: Buffer[] = [];
  readonly #flush: () => void = () => this.#write();

  constructor(channel: ConfirmChannel) {
    this.#channel = channel as unknown as ChannelInternals;
    this.#slot = this.#channel.connection.channels[this.number];
    this.#open = this.#channel.connection.sendMessage;
  }

  /** Channel number (AMQP 0-9-1 §4.2.3). */
  get number(): number {
    return this.#channel.ch;
  }

  /** Largest frame, in bytes. */
  get frameMax(): number {
    return this.#channel.connection.frameMax;
  }

  /**
   * Sends the frames of one message, `body` in frames behind them; `confirmed` is told once its confirm or nack comes.
   * The chunks of one turn of the event loop leave together.
   * @throws {IllegalOperationError} when the channel or its connection is closed.
   */
  send(frames: Buffer, body: Buffer | undefined, confirmed: Confirmed): void {
    const { connection } = this.#channel;
    const slot = this.#slot;
    const isOpen =
      connection.sendMessage === this.#open && connection.channels[this.number] === slot;
    if (!isOpen || slot === null || slot === undefined) {
      throw new IllegalOperationError('Channel closed', '');
    }
    this.#channel.pushConfirmCallback(confirmed);
    if (this.#chunks.length === 0) process.nextTick(this.#flush);
    this.#chunks.push(frames);
    if (body === undefined) return;
    this.#write();
    connection.sendContent(this.number, body);
  }

  /** Throws away what has not left: behind channel.close-ok it would cost the connection. */
  drop(): void {
    this.#chunks = [];
  }

  #write(): void {
    const [first] = this.#chunks;
    if (first === undefined) return;
    const gathered = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#channel.connection.sentSinceLastCheck = true;
    this.#slot?.buffer.write(gathered);
  }
}
