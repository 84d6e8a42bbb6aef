import { setTimeout as delay } from 'node:timers/promises';
import {
  type Channel,
  type ChannelModel,
  type ConsumeMessage,
  connect,
  type SocketOptions,
} from 'amqplib';

const PREFETCH = 1_000;
const RETRY_MS = 100;
/** A frozen broker never answers connection.close. */
const CLOSE_LIMIT_MS = 2_000;

export interface ConsumeOptions {
  readonly url: string;
  readonly queue: string;
  /** Called once per delivery, in order; the delivery is acknowledged to the broker when it returns. */
  readonly onMessage: (message: ConsumeMessage) => void;
}

/** A consumer at work. */
export interface RunningConsumer {
  /** Deliveries so far, repeated ones included. */
  readonly received: number;
  close(): Promise<void>;
}

/**
 * Consumes all of a queue until it is closed. It waits for a queue that is not there yet and comes back
 * whenever the broker was away, which may bring again what was not acknowledged.
 */
export function consumeAll(options: ConsumeOptions): RunningConsumer {
  const consumer = new Consumer(options);
  consumer.start();
  return consumer;
}

class Consumer implements RunningConsumer {
  readonly #options: ConsumeOptions;
  readonly #closing = new AbortController();
  /** Destroys the socket of the present attempt, in whatever state the connection is. */
  #destroying = new AbortController();
  #connection: ChannelModel | undefined;
  #channel: Channel | undefined;
  #running: Promise<void> | undefined;
  #received = 0;

  constructor(options: ConsumeOptions) {
    this.#options = options;
  }

  get received(): number {
    return this.#received;
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const timer = setTimeout(() => this.#destroying.abort(), CLOSE_LIMIT_MS);
    // Closing the connection alone would drop the acknowledgements that amqplib still holds.
    await this.#channel?.close().catch(() => {});
    await this.#connection?.close().catch(() => {});
    await this.#running;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      // The broker or the queue is away: the next round tries again.
      await this.#consumeOnce().catch(() => {});
      await delay(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  async #consumeOnce(): Promise<void> {
    this.#destroying = new AbortController(); // sockets that failed keep listening to theirs
    // amqplib hands these to node's socket as they are.
    const socketOptions: SocketOptions & { signal: AbortSignal } = {
      signal: this.#destroying.signal,
    };
    const connection = await connect(this.#options.url, socketOptions);
    connection.on('error', () => {});
    try {
      const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
      this.#connection = connection;
      if (this.#closing.signal.aborted) return;
      const channel = await connection.createChannel();
      const channelClosed = new Promise<void>((resolve) => channel.once('close', resolve));
      channel.on('error', () => {});
      this.#channel = channel;
      await channel.prefetch(PREFETCH);
      await channel.consume(this.#options.queue, (message) => {
        if (message === null) return;
        this.#received++;
        this.#options.onMessage(message);
        channel.ack(message);
      });
      await Promise.race([closed, channelClosed]);
    } finally {
      this.#channel = undefined;
      this.#connection = undefined;
      await connection.close().catch(() => {});
    }
  }
}
