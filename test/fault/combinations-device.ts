import { connectAsync, type MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';

const FEED_MS = 20;
const RECONNECT_MS = 100;
const CONNECT_LIMIT_MS = 3_000;
const MS_PER_SECOND = 1000;

/** What a {@link PacedDevice} sends, as JSON. */
export interface PacedPayload {
  readonly device: string;
  readonly counter: number;
}

export interface PacedDeviceOptions {
  readonly port: number;
  readonly name: string;
  readonly qos: 1 | 2;
  readonly messagesPerSecond: number;
  /** Most messages under way at once. */
  readonly window: number;
  /** What makes the payload as long as it should be. */
  readonly padding: string;
  /** Last level of the topic name of the message with that counter. */
  topicOf(counter: number): string;
  onAttempted(counter: number): void;
  /** The PUBACK is there, or for QoS 2 the PUBCOMP. */
  onAcknowledged(counter: number): void;
}

/** A device that measures at a steady rate, and sends again over any reconnection what has no acknowledgement. */
export class PacedDevice {
  readonly #client: MqttClient;
  readonly #options: PacedDeviceOptions;
  #timer: NodeJS.Timeout | undefined;
  #counter = 0;
  #due = 0;
  readonly #underWay = new Set<number>();

  constructor(client: MqttClient, options: PacedDeviceOptions) {
    this.#client = client;
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Counters of the messages that wait for their acknowledgement. */
  get underWay(): readonly number[] {
    return [...this.#underWay];
  }

  /** Measures from now on. What its window has no room for is never measured. */
  resume(): void {
    const { messagesPerSecond, window } = this.#options;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.#due += (FEED_MS * messagesPerSecond) / MS_PER_SECOND;
      for (; this.#due >= 1; this.#due--) if (this.#underWay.size < window) this.#send();
    }, FEED_MS);
  }

  /** Measures nothing new; what is under way goes on being sent. */
  pause(): void {
    clearInterval(this.#timer);
  }

  /** Ends it at once, whatever is under way. */
  async end(): Promise<void> {
    this.pause();
    await this.#client.endAsync(true);
  }

  #send(): void {
    const { name, qos, padding, topicOf, onAttempted, onAcknowledged } = this.#options;
    const counter = ++this.#counter;
    this.#underWay.add(counter);
    onAttempted(counter);
    const payload = JSON.stringify({ device: name, counter, padding });
    this.#client.publishAsync(`devices/${name}/${topicOf(counter)}`, payload, { qos }).then(
      () => {
        this.#underWay.delete(counter);
        onAcknowledged(counter);
      },
      () => this.#underWay.delete(counter), // cut off before it was sent: this client never sends it then
    );
  }
}

/** Connects a device, which is paused at first and ends with the test. */
export async function connectPacedDevice(options: PacedDeviceOptions): Promise<PacedDevice> {
  const client = await connectAsync(`mqtt://127.0.0.1:${options.port}`, {
    clientId: options.name,
    clean: false,
    reconnectPeriod: RECONNECT_MS,
    connectTimeout: CONNECT_LIMIT_MS,
  });
  client.on('error', () => undefined); // it tries again
  const device = new PacedDevice(client, options);
  onTestFinished(() => device.end());
  return device;
}
