import { connectAsync, type MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';
import { consumeAll } from './consumer.ts';
import { SeqAccount } from './seq-account.ts';
import { sharedAmqpUrl } from './shared-rabbit.ts';
import { createSite, LANE, type Site, type SiteOptions } from './site.ts';

/** A site whose lane has limits, and a consumer of both of its queues that takes account. */
export interface LimitedSite {
  readonly site: Site;
  readonly account: SeqAccount;
  /** Payloads in order of their first arrivals. */
  readonly payloads: readonly string[];
  /** The queue of the gap manifest. */
  readonly gapQueue: string;
}

/** Makes the site, without a gateway yet. The consumer of the gap manifest is there, that of the lane begins with `consume`. */
export async function createLimitedSite(
  options: Omit<SiteOptions, 'amqpUrl'>,
): Promise<LimitedSite & { consume(): void }> {
  const amqpUrl = sharedAmqpUrl();
  const gapQueue = `gaps-${process.hrtime.bigint()}`;
  const site = await createSite({
    amqpUrl,
    ...options,
    config: {
      gaps: { exchange: { name: gapQueue }, queues: [{ name: gapQueue, type: 'classic' }] },
      ...options.config,
    },
  });
  const account = new SeqAccount(LANE);
  const seen = new Set<string>();
  const gaps = consumeAll({
    url: amqpUrl,
    queue: gapQueue,
    onMessage: (message) => account.told(message, seen),
  });
  onTestFinished(() => gaps.close());
  const payloads: string[] = [];
  const ids = new Set<string>();
  const consume = (): void =>
    void site.consume((message) => {
      account.delivered(message);
      if (ids.has(message.properties.messageId)) return;
      ids.add(message.properties.messageId);
      payloads.push(message.content.toString());
    });
  return { site, account, payloads, gapQueue, consume };
}

/** A device of that site that never reconnects by itself; gone when the test ends. */
export async function connectDevice({ mqttPort }: Site): Promise<MqttClient> {
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { reconnectPeriod: 0 });
  device.on('error', () => undefined);
  onTestFinished(() => void device.end(true));
  return device;
}

/**
 * Publishes `from` to `to` with QoS 1, all at once. Resolves with those that were acknowledged, when all are or
 * the connection is closed.
 */
export async function publishRange(
  device: MqttClient,
  from: number,
  to: number,
): Promise<number[]> {
  const acknowledged: number[] = [];
  const closed = new Promise<void>((resolve) => device.once('close', () => resolve()));
  const all = Array.from({ length: to - from + 1 }, async (_, index) => {
    const topic = 'devices/d/telemetry/t';
    await device.publishAsync(topic, String(from + index), { qos: 1 });
    acknowledged.push(from + index);
  });
  // What has no PUBACK when the connection ends is never settled: this client does not come back.
  await Promise.race([Promise.allSettled(all), closed]);
  return acknowledged;
}
