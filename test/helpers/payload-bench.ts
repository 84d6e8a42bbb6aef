import { randomUUID } from 'node:crypto';
import type { ConsumeMessage } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';
import { consumeAll } from './consumer.ts';
import { freePort } from './free-port.ts';
import { type GatewayProcess, startGateway } from './gateway-process.ts';
import { type MetricValues, scrape } from './scrape.ts';
import { sharedAmqpUrl } from './shared-rabbit.ts';
import { tempDir } from './temp-dir.ts';

/** Keys of a mapping by its name. Its filter is `NAME/+device/#metric`, and all it gets is consumed. */
export type PayloadMappings = Readonly<Record<string, object>>;

/** Sections of the config that are not as the bench would have them. */
type Sections = Readonly<Record<string, object>>;

/** A gateway whose mappings check payloads, what their queues got, and devices. */
export class PayloadBench {
  /** What arrived, by the name of the mapping. */
  readonly received: Map<string, ConsumeMessage[]> = new Map();
  readonly #run: string = randomUUID();
  readonly #parts: { dir: string; mqttPort: number; adminPort: number };

  constructor(parts: { dir: string; mqttPort: number; adminPort: number }) {
    this.#parts = parts;
  }

  /** The whole config, with further sections. */
  config(mappings: PayloadMappings, sections: Sections = {}): object {
    const { dir, mqttPort, adminPort } = this.#parts;
    return {
      gateway: { id: 'bench' },
      store: { path: `${dir}/store`, reserveBytes: 0 },
      amqp: { urls: [sharedAmqpUrl()] },
      admin: { port: adminPort },
      ...sections,
      mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }], ...sections['mqtt'] },
      mappings: Object.entries(mappings).map(([name, keys]) => ({
        name,
        filter: `${name}/+device/#metric`,
        exchange: { name: this.#queue(name), type: 'topic' },
        queues: [{ name: this.#queue(name), type: 'classic' }],
        ...keys,
      })),
    };
  }

  /** Starts the gateway, again with the same store, and consumes what the queues get. */
  async start(mappings: PayloadMappings, sections: Sections = {}): Promise<GatewayProcess> {
    const config = this.config(mappings, sections);
    const gateway = await startGateway({ config, dir: this.#parts.dir });
    onTestFinished(() => gateway.kill());
    for (const name of Object.keys(mappings)) {
      if (!this.received.has(name)) this.#consume(name);
    }
    return gateway;
  }

  /** Connects a device that is gone when the test has finished. */
  async device(clientId: string): Promise<MqttClient> {
    const url = `mqtt://127.0.0.1:${this.#parts.mqttPort}`;
    const device = await connectAsync(url, { clientId, reconnectPeriod: 100 });
    onTestFinished(() => device.endAsync(true));
    return device;
  }

  /** What a mapping's queue got, as text. */
  bodies(name: string): string[] {
    return (this.received.get(name) ?? []).map(({ content }) => content.toString());
  }

  metrics(): Promise<MetricValues> {
    return scrape(this.#parts.adminPort);
  }

  /** Messages parked in the lane of a mapping. */
  async parked(name: string): Promise<number> {
    const values = await this.metrics();
    return values.get(`tidegate_lane_parked_messages{lane="${name}"}`) ?? Number.NaN;
  }

  /** Messages that were refused for that reason. */
  async refused(reason: string): Promise<number> {
    const values = await this.metrics();
    return values.get(`tidegate_messages_refused_total{reason="${reason}"}`) ?? Number.NaN;
  }

  /** Puts what is parked in a lane back, as far as it may be. Resolves with how many were. */
  async release(name: string): Promise<number> {
    const url = `http://127.0.0.1:${this.#parts.adminPort}/api/parked/release?lane=${name}`;
    const answer = await fetch(url, { method: 'POST' });
    const { released } = (await answer.json()) as { released: number };
    return released;
  }

  #queue(name: string): string {
    return `${name}-${this.#run}`;
  }

  #consume(name: string): void {
    const messages: ConsumeMessage[] = [];
    this.received.set(name, messages);
    const consumer = consumeAll({
      url: sharedAmqpUrl(),
      queue: this.#queue(name),
      onMessage: (message) => messages.push(message),
    });
    onTestFinished(() => consumer.close());
  }
}

/** Makes a bench whose gateway does not run yet; all of it is gone when the test has finished. */
export async function createPayloadBench(): Promise<PayloadBench> {
  const dir = await tempDir('payload');
  return new PayloadBench({ dir, mqttPort: await freePort(), adminPort: await freePort() });
}
