import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ChannelModel, type ConsumeMessage, connect } from 'amqplib';
import type { DeliveryLedger } from '../../test/helpers/ledger.ts';

/** The gateway declares the queue when it reaches the broker; asked for this often until then, in ms. */
const QUEUE_CHECK_MS = 200;
/** Unacknowledged deliveries: enough to keep a quorum queue busy over loopback. */
const PREFETCH = 500;

/** How the ledger calls one message of a device. */
export function ledgerId(device: string, counter: number): string {
  return `${device}#${counter}`;
}

export interface CheckerOptions {
  readonly url: string;
  readonly queue: string;
  readonly ledger: DeliveryLedger;
}

/** A backend service: takes each message from the queue, directly from the broker, and enters it in the ledger. */
export class Checker {
  readonly #options: CheckerOptions;
  #connection: ChannelModel | undefined;
  #strangers = 0;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** Messages in the queue that are no reading of a device, or have no message-id. */
  get strangers(): number {
    return this.#strangers;
  }

  /** Waits until the queue is there, then consumes. Rejects when the signal aborts before. */
  async start(signal: AbortSignal): Promise<void> {
    this.#connection = await connect(this.#options.url);
    this.#connection.on('error', () => {}); // the broker is being ended
    const channel = await this.#channelWithQueue(this.#connection, signal);
    await channel.prefetch(PREFETCH);
    await channel.consume(this.#options.queue, (message) => {
      if (!message) return;
      this.#enter(message);
      channel.ack(message);
    });
  }

  async stop(): Promise<void> {
    await this.#connection?.close().catch(() => {}); // already closed is closed
    this.#connection = undefined;
  }

  async #channelWithQueue(connection: ChannelModel, signal: AbortSignal): Promise<Channel> {
    while (true) {
      const channel = await connection.createChannel();
      channel.on('error', () => {}); // 404 closes the channel (queue.declare passive); the next try has its own
      try {
        await channel.checkQueue(this.#options.queue);
        return channel;
      } catch {
        await sleep(QUEUE_CHECK_MS, undefined, { signal });
      }
    }
  }

  #enter({ content, properties }: ConsumeMessage): void {
    const reading = readingOf(content);
    const messageId: unknown = properties.messageId;
    if (!reading || typeof messageId !== 'string') {
      this.#strangers += 1;
      return;
    }
    const { device, counter } = reading;
    const id = ledgerId(device, counter);
    this.#options.ledger.delivered({ id, messageId, deviceKey: device, counter });
  }
}

function readingOf(content: Buffer): { device: string; counter: number } | undefined {
  try {
    const { device, counter } = JSON.parse(content.toString());
    return typeof device === 'string' && Number.isSafeInteger(counter)
      ? { device, counter }
      : undefined;
  } catch {
    return undefined; // not JSON: counted as a stranger
  }
}
