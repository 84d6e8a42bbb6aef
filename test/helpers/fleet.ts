import { Device } from '../../firmware-sim/device.ts';
import type { DeliveryLedger } from './ledger.ts';

export interface FleetOptions {
  /** Of the gateway's MQTT listener on 127.0.0.1. */
  readonly port: number;
  readonly deviceCount: number;
  readonly seed: number;
  readonly ledger: DeliveryLedger;
  /** Readings of all devices together. Default: each always has something to send. */
  readonly messagesPerSecond?: number;
}

/** More than the window of a device, so that there is always something to send. */
const HELD_PER_DEVICE = 60;
const FEED_MS = 15;
const MS_PER_SECOND = 1000;

/** Simulated devices that send with QoS 1, and tell the ledger what they sent and what was acknowledged. */
export class Fleet {
  readonly #devices: readonly Device[];
  readonly #messagesPerSecond: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #readings = 0;

  constructor({ deviceCount, seed, port, ledger, messagesPerSecond }: FleetOptions) {
    this.#messagesPerSecond = messagesPerSecond;
    this.#devices = Array.from({ length: deviceCount }, (_, index) => {
      return new Device({
        name: `device-${index + 1}`,
        host: '127.0.0.1',
        port,
        seed,
        qos: { telemetry: 1, alarm: 1 },
        backoff: { firstMs: 50, maxMs: 200 },
        onSent: (device, counter) => ledger.attempted(`${device}/${counter}`),
        onAcknowledged: (device, counter) => ledger.acknowledged(`${device}/${counter}`),
      });
    });
  }

  /** Readings taken. */
  get measured(): number {
    return this.#sum((device) => device.tally.measured);
  }

  /** Messages not acknowledged yet, unsent ones included. */
  get held(): number {
    return this.#sum((device) => device.held);
  }

  /** PUBLISHes with DUP. */
  get resent(): number {
    return this.#sum((device) => device.tally.resent);
  }

  start(): void {
    for (const device of this.#devices) device.start();
    this.#startedAtMs = performance.now();
    this.#timer = setInterval(() => this.#feed(), FEED_MS);
  }

  /** Takes no more readings; what is held goes on being sent. */
  stopMeasuring(): void {
    clearInterval(this.#timer);
  }

  async stop(): Promise<void> {
    this.stopMeasuring();
    await Promise.all(this.#devices.map((device) => device.stop()));
  }

  #feed(): void {
    if (this.#messagesPerSecond === undefined) {
      for (const device of this.#devices) {
        for (let held = device.held; held < HELD_PER_DEVICE; held++) device.measure();
      }
      return;
    }
    const elapsedMs = performance.now() - this.#startedAtMs;
    const due = (elapsedMs * this.#messagesPerSecond) / MS_PER_SECOND;
    for (; this.#readings < due; this.#readings++) {
      this.#devices[this.#readings % this.#devices.length]?.measure();
    }
  }

  #sum(count: (device: Device) => number): number {
    return this.#devices.reduce((sum, device) => sum + count(device), 0);
  }
}
