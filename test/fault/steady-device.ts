import { connectAsync, type MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';
import type { DeliveryLedger } from '../helpers/ledger.ts';

export interface SteadyDeviceOptions {
  readonly port: number;
  readonly name: string;
  readonly ledger: DeliveryLedger;
  /** Messages that are under way at once. */
  readonly window: number;
  /** What makes the payload as long as it should be. */
  readonly padding: string;
}

/** What a {@link SteadyDevice} sends, as JSON. */
export interface SteadyPayload {
  readonly device: string;
  readonly counter: number;
  readonly padding: string;
}

/** A device that has a window of QoS 1 messages under way whenever it is not paused, over any reconnection. */
export class SteadyDevice {
  readonly #client: MqttClient;
  readonly #options: SteadyDeviceOptions;
  #counter = 0;
  #underWay = 0;
  #isPaused = true;

  constructor(client: MqttClient, options: SteadyDeviceOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Messages that wait for their PUBACK. */
  get underWay(): number {
    return this.#underWay;
  }

  resume(): void {
    this.#isPaused = false;
    while (this.#underWay < this.#options.window) this.#sendNext();
  }

  /** Sends nothing new; what is under way is sent again until it is acknowledged. */
  pause(): void {
    this.#isPaused = true;
  }

  #sendNext(): void {
    const { name, ledger, window, padding } = this.#options;
    this.#counter += 1;
    this.#underWay += 1;
    const id = `${name}/${this.#counter}`;
    ledger.attempted(id);
    const content: SteadyPayload = { device: name, counter: this.#counter, padding };
    const topic = `devices/${name}/telemetry/bulk`;
    this.#client.publishAsync(topic, JSON.stringify(content), { qos: 1 }).then(
      () => {
        ledger.acknowledged(id);
        this.#underWay -= 1;
        while (!this.#isPaused && this.#underWay < window) this.#sendNext();
      },
      () => undefined, // ended with the test
    );
  }
}

/** Connects a device, which is paused at first and ends with the test. */
export async function connectSteadyDevice(options: SteadyDeviceOptions): Promise<SteadyDevice> {
  const client = await connectAsync(`mqtt://127.0.0.1:${options.port}`, {
    clientId: options.name,
    clean: false,
    reconnectPeriod: 100,
  });
  onTestFinished(() => client.endAsync(true));
  return new SteadyDevice(client, options);
}
