import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type ConsumeMessage, connect } from 'amqplib';
import { expect, onTestFinished } from 'vitest';
import { consumeAll, type RunningConsumer } from './consumer.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { type GatewayOptions, type GatewayProcess, startGateway } from './gateway-process.ts';
import { type MetricValues, scrape } from './scrape.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { tempDir } from './temp-dir.ts';

/** The one lane of a site, or the first of several. */
export const LANE = 'telemetry';
const DRAIN_LIMIT_MS = 60_000;
/** AMQP `type` of a message that is not from the gateway and marks a place in the queue. */
const MARKER = 'marker';

export interface SiteOptions {
  readonly amqpUrl: string;
  /** Sections of the config that are not as the site would have them. */
  readonly config?: Readonly<Record<string, object>>;
  /** Keys of the mapping that are not as the site would have them. */
  readonly mapping?: object;
  /** Keys of its queue, likewise. Default a classic queue. */
  readonly queue?: object;
  /** Mappings like it, which all take the same messages to the same queue. Default 1. */
  readonly lanes?: number;
  /** Time until the gateway must be ready, in ms. Default that of `startGateway`. */
  readonly readyLimitMs?: number;
}

/** A gateway of one mapping or several alike, its uplink that can be cut, and a consumer at the other end of it. */
export class Site {
  readonly mqttPort: number;
  readonly adminPort: number;
  /** The uplink. */
  readonly proxy: TcpProxy;
  /** Names both the exchange and the queue. */
  readonly queue: string = `site-${randomUUID()}`;
  readonly config: object;
  readonly #options: SiteOptions;
  readonly #dir: string;
  #gateway: GatewayProcess | undefined;
  #seenMarkers = 0;

  constructor(
    options: SiteOptions,
    parts: { ports: [number, number]; proxy: TcpProxy; dir: string },
  ) {
    this.#options = options;
    [this.mqttPort, this.adminPort] = parts.ports;
    this.proxy = parts.proxy;
    this.#dir = parts.dir;
    const url = new URL(options.amqpUrl);
    url.port = String(parts.proxy.port);
    this.config = {
      gateway: { id: 'site' },
      store: { path: `${parts.dir}/store`, reserveBytes: 0 },
      admin: { port: this.adminPort },
      ...options.config,
      mqtt: {
        listeners: [{ host: '127.0.0.1', port: this.mqttPort }],
        ...options.config?.['mqtt'],
      },
      amqp: { urls: [url.href], reconnect: { minMs: 50, maxMs: 200 }, ...options.config?.['amqp'] },
      mappings: Array.from({ length: options.lanes ?? 1 }, (_, index) => ({
        name: index === 0 ? LANE : `${LANE}-${index + 1}`,
        filter: 'devices/+device/telemetry/#metric',
        exchange: { name: this.queue, type: 'topic' },
        queues: [{ name: this.queue, type: 'classic', bindingKey: '#', ...options.queue }],
        ...options.mapping,
      })),
    };
  }

  /** The gateway as it runs, or ran, last. */
  get gateway(): GatewayProcess {
    if (this.#gateway === undefined) throw new Error('no gateway was started');
    return this.#gateway;
  }

  /** Starts the gateway, again with the same store. `execArgv` are options of node. */
  async start(
    execArgv: readonly string[] = [],
    surroundings: Pick<GatewayOptions, 'env' | 'wrapper'> = {},
  ): Promise<GatewayProcess> {
    const { readyLimitMs } = this.#options;
    this.#gateway = await startGateway({
      config: this.config,
      dir: this.#dir,
      execArgv,
      ...surroundings,
      ...(readyLimitMs === undefined ? {} : { readyLimitMs }),
    });
    return this.#gateway;
  }

  metrics(): Promise<MetricValues> {
    return scrape(this.adminPort);
  }

  /** Value of `tidegate_lane_NAME` of the one lane, 0 when there is none. */
  async laneMetric(name: string): Promise<number> {
    return (await this.metrics()).get(`tidegate_lane_${name}{lane="${LANE}"}`) ?? 0;
  }

  /** Folder of the gateway's store. */
  get storeDir(): string {
    return join(this.#dir, 'store');
  }

  /** Consumes what arrives at the broker, past the proxy, until the test ends. */
  consume(onMessage: (message: ConsumeMessage) => void): RunningConsumer {
    const consumer = consumeAll({
      url: this.#options.amqpUrl,
      queue: this.queue,
      onMessage: (message) => {
        if (message.properties.type === MARKER) this.#seenMarkers += 1;
        else onMessage(message);
      },
    });
    onTestFinished(() => consumer.close());
    return consumer;
  }

  /** Resolves when the gateway holds nothing unsettled. That may take long, but never without any progress. */
  async #settled(): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    while (least > 0) {
      least = await eventually(
        async () => {
          const values = await this.metrics();
          const count = (name: string): number => sumOf(values, `tidegate_lane_${name}_messages{`);
          const unsettled = count('backlog') + count('in_flight');
          expect(unsettled === 0 || unsettled < least, `still ${unsettled} unsettled`).toBe(true);
          return unsettled;
        },
        { withinMs: DRAIN_LIMIT_MS, everyMs: 100 },
      );
    }
  }

  /** Resolves when the gateway holds nothing unsettled, and the consumer has been given all that is in the queue. */
  async drained(): Promise<void> {
    await this.#settled();
    // The queue is first in, first out: all that was there before the marker is delivered before it.
    const expected = this.#seenMarkers + 1;
    const broker = await connect(this.#options.amqpUrl);
    const channel = await broker.createConfirmChannel();
    channel.sendToQueue(this.queue, Buffer.alloc(0), { type: MARKER });
    await channel.waitForConfirms();
    await broker.close();
    await eventually(() => expect(this.#seenMarkers).toBe(expected), { withinMs: DRAIN_LIMIT_MS });
  }
}

/** Sum of a metric over its labels; not a number when there is none. */
export function sumOf(values: MetricValues, prefix: string): number {
  const found = [...values].filter(([name]) => name.startsWith(prefix));
  return found.length === 0 ? Number.NaN : found.reduce((sum, [, value]) => sum + value, 0);
}

/** Makes a site whose gateway does not run yet; all of it is gone when the test has finished. */
export async function createSite(options: SiteOptions): Promise<Site> {
  const dir = await tempDir('site');
  const proxy = await startTcpProxy({ targetPort: Number(new URL(options.amqpUrl).port) });
  onTestFinished(() => proxy.close());
  const ports: [number, number] = [await freePort(), await freePort()];
  const site = new Site(options, { ports, proxy, dir });
  onTestFinished(async () => {
    await site.gateway.kill();
  });
  return site;
}
