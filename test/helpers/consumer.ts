import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, type ConsumeMessage, connect } from 'amqplib';

const PREFETCH = 1_000;
const RETRY_MS = 100;

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
  #connection: ChannelModel | undefined;
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
    await this.#connection?.close().catch(() => {});
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      // The broker or the queue is away: the next round tries again.
      await this.#consumeOnce().catch(() => {});
      await delay(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  async #consumeOnce(): Promise<void> {
    const connection = await connect(this.#options.url);
    try {
      connection.on('error', () => {});
      const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
      this.#connection = connection;
      if (this.#closing.signal.aborted) return;
      const channel = await connection.createChannel();
      const channelClosed = new Promise<void>((resolve) => channel.once('close', resolve));
      channel.on('error', () => {});
      await channel.prefetch(PREFETCH);
      await channel.consume(this.#options.queue, (message) => {
        if (message === null) return;
        this.#received++;
        this.#options.onMessage(message);
        channel.ack(message);
      });
      await Promise.race([closed, channelClosed]);
    } finally {
      this.#connection = undefined;
      await connection.close().catch(() => {});
    }
  }
}
