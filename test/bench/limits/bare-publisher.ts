import { connect } from 'amqplib';
import { BenchProcess } from '../bench-process.ts';
import type { Latencies } from '../load-options.ts';

export interface BarePublisherOptions {
  readonly url: string;
  readonly exchange: string;
  readonly messages: number;
  readonly payloadBytes: number;
  /** Unconfirmed messages at most; without meaning when paced. */
  readonly window: number;
  readonly ratePerSecond?: number;
  /** What is due in so long from the start is not measured, in ms. Default 0. */
  readonly warmUpMs?: number;
}

export interface BarePublisherResult {
  /** From the first publish to the last confirm. */
  readonly seconds: number;
  /** ms since 1970. */
  readonly firstPublishAtMs: number;
  readonly cpuSeconds: number;
  /** From due, or without a rate from publish, to confirm. */
  readonly confirmMs: Latencies;
  readonly sentBy: Readonly<Record<string, number>>;
}

/** Publishes with a bare amqplib confirm channel, the limit of the AMQP side, to an exchange that is bound to the queue. */
export async function barePublisher(
  queue: string,
  options: Omit<BarePublisherOptions, 'exchange'>,
): Promise<BarePublisherResult> {
  const exchange = `exchange-${queue}`;
  const model = await connect(options.url);
  const channel = await model.createChannel();
  await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.bindQueue(queue, exchange, '#');
  await model.close();
  const publisher = BenchProcess.start('limits/bare-publisher-process.ts', {
    ...options,
    exchange,
  });
  await publisher.said('connected');
  publisher.command('go');
  const { result } = await publisher.said('done');
  return result as BarePublisherResult;
}
