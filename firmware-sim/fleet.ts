import { setTimeout as sleep } from 'node:timers/promises';
import { Device, type DeviceOptions } from './device.ts';
import type { QoS } from './outbox.ts';
import { disturbances, type Profile } from './profile.ts';
import { Random, seedFor } from './random.ts';
import { type FleetTally, fleetTally } from './tally.ts';

export interface FleetOptions
  extends Pick<DeviceOptions, 'host' | 'port' | 'seed' | 'onSent' | 'onAcknowledged'> {
  readonly deviceCount: number;
  /** Readings per second of the whole fleet. */
  readonly ratePerSecond: number;
  readonly profile: Profile;
  /** Forces one QoS on all messages. Absent: each kind its own. */
  readonly qos?: QoS | undefined;
  /** Names are `<prefix>-001` …; two fleets on one MQTT server need two prefixes. Default `device`. */
  readonly namePrefix?: string | undefined;
}

/** How often readings that are due are taken, in ms: finer than a person sees, coarse enough to cost nothing. */
const TICK_MS = 20;
/** How often the memories are looked at while waiting for the last acknowledgement, in ms. */
const SETTLED_CHECK_MS = 50;

/** Many devices with one clock: each tick takes the readings that are due, from the devices in turn. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #devices: Device[] = [];
  readonly #mishapTimers = new Set<NodeJS.Timeout>();
  #ticker: NodeJS.Timeout | undefined;
  #lastTickMs = 0;
  #due = 0;
  #turn = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Switches the devices on and starts to take readings. */
  start(): void {
    const { deviceCount, namePrefix = 'device' } = this.#options;
    for (let index = 1; index <= deviceCount; index++) {
      this.#add(`${namePrefix}-${String(index).padStart(3, '0')}`);
    }
    this.#lastTickMs = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** No more readings and no more mishaps; the devices stay on and send what they hold. */
  stopMeasuring(): void {
    clearInterval(this.#ticker);
    for (const timer of this.#mishapTimers) clearTimeout(timer);
    this.#mishapTimers.clear();
  }

  /** Resolves when no device holds anything any more: all is acknowledged. Rejects when the signal aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    while (this.held > 0) await sleep(SETTLED_CHECK_MS, undefined, { signal });
  }

  /** Switches all devices off, with DISCONNECT. */
  async stop(): Promise<void> {
    this.stopMeasuring();
    await Promise.all(this.#devices.map((device) => device.stop()));
  }

  /** Messages in the memories of the devices: unsent or unacknowledged. */
  get held(): number {
    return this.#devices.reduce((sum, device) => sum + device.held, 0);
  }

  get onlineCount(): number {
    return this.#devices.filter((device) => device.online).length;
  }

  tally(): FleetTally {
    return fleetTally(this.#devices.map((device) => device.tally));
  }

  #add(name: string): void {
    const { host, port, seed, qos, profile, onSent, onAcknowledged } = this.#options;
    const device = new Device({
      name,
      host,
      port,
      seed,
      ...(qos === undefined ? {} : { qos: { telemetry: qos, alarm: qos } }),
      ...(onSent ? { onSent } : {}),
      ...(onAcknowledged ? { onAcknowledged } : {}),
    });
    this.#devices.push(device);
    device.start();
    const mishaps = disturbances(profile, new Random(seedFor(seed, `mishaps/${name}`)));
    this.#awaitMishap(device, mishaps);
  }

  #awaitMishap(device: Device, mishaps: ReturnType<typeof disturbances>): void {
    const next = mishaps.next();
    if (next.done) return;
    const { kind, afterMs, lastsMs } = next.value;
    this.#later(afterMs, () => {
      if (kind === 'reboot') device.reboot(lastsMs);
      else device.loseRadio(lastsMs);
      this.#later(lastsMs, () => this.#awaitMishap(device, mishaps));
    });
  }

  #later(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#mishapTimers.delete(timer);
      run();
    }, delayMs);
    this.#mishapTimers.add(timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#due += ((nowMs - this.#lastTickMs) / 1000) * this.#options.ratePerSecond;
    this.#lastTickMs = nowMs;
    for (; this.#due >= 1; this.#due--) {
      this.#devices[this.#turn++ % this.#devices.length]?.measure();
    }
  }
}
