import { type BackoffOptions, DEFAULT_BACKOFF, reconnectDelayMs } from './backoff.ts';
import { MqttLink, type Receipt } from './mqtt-link.ts';
import { Outbox, type OutgoingMessage, type QoS } from './outbox.ts';
import { Random, seedFor } from './random.ts';
import { type MessageKind, SensorModel } from './sensor-model.ts';
import { type DeviceTally, emptyTally } from './tally.ts';

export interface DeviceOptions {
  /** Client identifier and name in the topic names. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly seed: number;
  /** QoS of each kind of message. Default: telemetry 1, alarm 2. */
  readonly qos?: Readonly<Record<MessageKind, QoS>>;
  /** Messages in memory before the oldest unsent one gives way. Default 2000. */
  readonly memoryMessages?: number;
  /** Default: first retry within 0.5 s, at most 8 s apart. */
  readonly backoff?: BackoffOptions;
  /** Called once for each counter, just before its first PUBLISH. */
  readonly onSent?: (device: string, counter: number) => void;
  /** Called once for each counter when its PUBACK or PUBREC comes. */
  readonly onAcknowledged?: (device: string, counter: number) => void;
}

const DEFAULT_QOS: Readonly<Record<MessageKind, QoS>> = { telemetry: 1, alarm: 2 };
/** 2,000 messages of about 120 B are a quarter of a megabyte: what is left of a small flash chip. */
const DEFAULT_MEMORY_MESSAGES = 2_000;
/** Small, as on a microcontroller: each PUBLISH in flight is a buffer. */
const WINDOW = 20;
const KEEP_ALIVE_SECONDS = 30;
/** From the first lost packet to the loss of the connection, in ms: some messages arrive, their PUBACKs do not. */
const RADIO_FADE_MS = 200;
/** A server that answers pings and never acknowledges is given up after this, in ms. */
const RECEIPT_TIMEOUT_MS = 30_000;

/**
 * One simulated device. It sends its messages in the order of their counters, resends with DUP and in order
 * what a lost connection left unacknowledged, and keeps its memory ("flash") across its own reboots.
 */
export class Device {
  readonly tally: DeviceTally;
  readonly #options: DeviceOptions;
  readonly #random: Random;
  readonly #sensors: SensorModel;
  readonly #outbox: Outbox;
  #link: MqttLink | undefined;
  #online = false;
  /** Off, booting, or without radio: nothing connects until this timer or `start` says so. */
  #wakeTimer: NodeJS.Timeout | undefined;
  #receiptTimer: NodeJS.Timeout | undefined;
  #failures = 0;
  #running = false;
  #booting = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.tally = emptyTally(options.name);
    this.#random = new Random(seedFor(options.seed, `radio/${options.name}`));
    this.#sensors = new SensorModel(seedFor(options.seed, `sensors/${options.name}`));
    const capacity = options.memoryMessages ?? DEFAULT_MEMORY_MESSAGES;
    this.#outbox = new Outbox({ capacity, window: WINDOW });
  }

  get name(): string {
    return this.#options.name;
  }

  get online(): boolean {
    return this.#online;
  }

  /** Messages in memory: unsent, or in flight. 0 means that all is acknowledged (or dropped). */
  get held(): number {
    return this.#outbox.size;
  }

  /** Switches the device on. */
  start(): void {
    this.#running = true;
    this.#connect();
  }

  /** Takes one reading and sends it, now or later. Does nothing while the device boots. */
  measure(): void {
    if (this.#booting) return;
    const dropped = this.#outbox.add(this.#nextMessage());
    if (dropped) this.tally.dropped += 1;
    this.#sendNext();
  }

  /** The radio fades, so that acknowledgements are missed, and is gone for a while; readings go on. */
  loseRadio(lastsMs: number): void {
    if (!this.#running) return;
    this.#link?.deafen();
    clearTimeout(this.#wakeTimer);
    const fadeMs = Math.min(lastsMs / 2, RADIO_FADE_MS);
    this.#wakeTimer = setTimeout(() => this.#sleep('radio lost', lastsMs - fadeMs), fadeMs);
  }

  /** Power is gone for a while: no readings either. The memory stays. */
  reboot(lastsMs: number): void {
    if (!this.#running) return;
    this.tally.reboots += 1;
    this.#booting = true;
    this.#sleep('reboot', lastsMs);
  }

  /** Disconnects properly and stays off. What is unacknowledged stays in memory. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#wakeTimer);
    await this.#link?.close();
  }

  #nextMessage(): OutgoingMessage {
    const { kind, metric, value } = this.#sensors.next();
    const device = this.#options.name;
    const counter = ++this.tally.measured;
    return {
      counter,
      topic: `devices/${device}/telemetry/${metric}`,
      payload: JSON.stringify({ device, counter, metric, value, ts: Date.now() }),
      qos: (this.#options.qos ?? DEFAULT_QOS)[kind],
    };
  }

  #connect(): void {
    clearTimeout(this.#wakeTimer);
    this.#booting = false;
    const { host, port, name } = this.#options;
    const link = new MqttLink(
      {
        host,
        port,
        clientId: name,
        statusTopic: `devices/${name}/status`,
        keepAliveSeconds: KEEP_ALIVE_SECONDS,
        inFlight: this.#outbox.inFlight(),
      },
      {
        onOpen: () => this.#onOpen(link),
        onReceipt: (receipt, counter) => this.#onReceipt(receipt, counter),
        onClosed: () => this.#onClosed(),
      },
    );
    this.#link = link;
    link.open();
  }

  #onOpen(link: MqttLink): void {
    this.tally.connections += 1;
    this.#failures = 0;
    this.#online = true;
    for (const { message, progress } of this.#outbox.inFlight()) {
      if (progress === 'received') continue;
      this.tally.resent += 1;
      link.publish(message, true); // MQTT 3.1.1 [MQTT-3.3.1-1] DUP, [MQTT-4.6.0-1] in the order of the first sending
    }
    this.#sendNext();
  }

  #sendNext(): void {
    while (this.#online && this.#link) {
      const message = this.#outbox.takeNext();
      if (!message) break;
      this.tally.sent += 1;
      if (message.qos === 0) this.tally.sentAtQos0 += 1;
      this.#options.onSent?.(this.#options.name, message.counter);
      this.#link.publish(message, false, () => this.#settle(message.counter));
    }
    this.#watchReceipts();
  }

  #onReceipt(receipt: Receipt, counter: number): void {
    clearTimeout(this.#receiptTimer);
    this.#receiptTimer = undefined;
    if (receipt !== 'pubrec') this.#settle(counter);
    else if (this.#outbox.markReceived(counter)) this.#countAcknowledged(counter);
    this.#watchReceipts();
  }

  #settle(counter: number): void {
    const entry = this.#outbox.settle(counter);
    if (entry?.message.qos === 1) this.#countAcknowledged(counter);
    this.#sendNext();
  }

  #countAcknowledged(counter: number): void {
    this.tally.acknowledged += 1;
    this.#options.onAcknowledged?.(this.#options.name, counter);
  }

  #watchReceipts(): void {
    if (!this.#online || this.#outbox.inFlightCount === 0 || this.#receiptTimer) return;
    this.#receiptTimer = setTimeout(() => this.#link?.cut('no receipt'), RECEIPT_TIMEOUT_MS);
  }

  #onClosed(): void {
    this.#online = false;
    this.#link = undefined;
    clearTimeout(this.#receiptTimer);
    this.#receiptTimer = undefined;
    this.#outbox.forgetQos0();
    clearTimeout(this.#wakeTimer);
    if (this.#running) {
      const delayMs = reconnectDelayMs(this.#failures++, this.#random, this.#backoff());
      this.#wakeTimer = setTimeout(() => this.#connect(), delayMs);
    }
  }

  #sleep(reason: string, lastsMs: number): void {
    if (!this.#running) return;
    this.#link?.cut(reason);
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = setTimeout(() => this.#connect(), lastsMs);
  }

  #backoff(): BackoffOptions {
    return this.#options.backoff ?? DEFAULT_BACKOFF;
  }
}
