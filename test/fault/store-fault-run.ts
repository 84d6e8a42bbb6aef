import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger } from '../helpers/ledger.ts';
import type { Site } from '../helpers/site.ts';
import { injectFaults, storePaths } from '../helpers/strace.ts';
import type { FaultPoint } from './fault-points.ts';
import { connectSteadyDevice, type SteadyDevice, type SteadyPayload } from './steady-device.ts';

const DEVICES = 4;
const WINDOW = 50;
/** LevelDB makes a table of every 4 MiB: with messages of this size it does so several times a second. */
const PADDING = 'x'.repeat(6 * 1024);
/** Long enough for several tries of the gateway to write, which are 250 ms apart. */
const LASTING_MS = 600;
/** PUBACKs after a fault that show that the gateway is at work again: some windows of all devices. */
const RECOVERED_PUBACKS = 500;
const PATIENCE_MS = 20_000;
/** In this time LevelDB begins fewer files than those that strace is told of. */
const ATTEMPT_MS = 5_000;
const ATTEMPTS = 6;
/** Of the store, when writing fails. */
const EXPECTED_EVENTS: readonly string[] = ['store-trouble', 'store-recovered'];

export type Uplink = 'up' | 'cut';

/** A gateway under load whose calls on its store are made to fail. */
export class StoreFaultRun {
  readonly #site: Site;
  readonly #storeDir: string;
  readonly #uplink: Uplink;
  readonly #devices: SteadyDevice[] = [];
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  /** What went wrong beside the delivery. */
  readonly failures: string[] = [];
  injected = 0;
  slowestRecoveryMs = 0;

  constructor(site: Site, storeDir: string, uplink: Uplink) {
    this.#site = site;
    this.#storeDir = storeDir;
    this.#uplink = uplink;
  }

  async begin(): Promise<void> {
    await this.#site.start();
    this.#site.consume((message) => {
      const { device, counter } = JSON.parse(message.content.toString()) as SteadyPayload;
      const { messageId } = message.properties;
      this.ledger.delivered({ id: `${device}/${counter}`, messageId, deviceKey: device, counter });
    });
    for (let number = 1; number <= DEVICES; number++) {
      const device = await connectSteadyDevice({
        port: this.#site.mqttPort,
        name: `device-${number}`,
        ledger: this.ledger,
        window: WINDOW,
        padding: PADDING,
      });
      this.#devices.push(device);
    }
  }

  /** Meets the points one by one, then ends the gateway with SIGKILL and sees all through to the consumer. */
  async meet(points: readonly FaultPoint[]): Promise<void> {
    if (this.#uplink === 'cut') await this.#site.proxy.cut();
    for (const device of this.#devices) device.resume();
    for (const point of points) {
      try {
        await this.#meetOne(point);
      } catch (error) {
        this.failures.push(`${point.name}: ${error}`);
      }
    }
    this.#judgeLog();
    await this.#site.gateway.kill();
    await this.#site.start();
    await this.#site.proxy.restore();
    for (const device of this.#devices) device.pause();
    await eventually(
      () => expect(this.#devices.map(({ underWay }) => underWay)).toEqual(Array(DEVICES).fill(0)),
      { withinMs: PATIENCE_MS },
    );
    await this.#site.drained();
    this.#judgeLog();
  }

  async #meetOne(point: FaultPoint): Promise<void> {
    for (let attempt = 1; !(await this.#inject(point)); attempt++) {
      if (attempt === ATTEMPTS) throw new Error(`no ${point.syscall} was made to fail`);
    }
    await this.#recovered();
  }

  /** False when no such call was made: a log that was just begun, say, is opened again with few reads. */
  async #inject({ faults, syscall, isLasting }: FaultPoint): Promise<boolean> {
    const injector = await injectFaults({
      pid: this.#site.gateway.pid,
      paths: await storePaths(this.#storeDir),
      faults,
    });
    try {
      const isMet = await eventually(() => expect(injector.injected.join()).toContain(syscall), {
        withinMs: ATTEMPT_MS,
        everyMs: 5,
      }).then(
        () => true,
        () => false,
      );
      // Not a wait for something: this is how long the fault lasts.
      if (isLasting && isMet) await delay(LASTING_MS);
      return isMet;
    } finally {
      await injector.detach();
      this.injected += injector.injected.length;
    }
  }

  async #recovered(): Promise<void> {
    const liftedMs = performance.now();
    const goal = this.ledger.verdict().acknowledged + RECOVERED_PUBACKS;
    await eventually(() => expect(this.ledger.verdict().acknowledged).toBeGreaterThan(goal), {
      withinMs: PATIENCE_MS,
    });
    this.slowestRecoveryMs = Math.max(this.slowestRecoveryMs, performance.now() - liftedMs);
  }

  /** No fault may be one that the gateway did not foresee, and nothing may be found damaged or missing. */
  #judgeLog(): void {
    for (const line of this.#site.gateway.logs()) {
      const event = String(line['event']);
      const isFinding = event.startsWith('store-') && !EXPECTED_EVENTS.includes(event);
      const isBad =
        isFinding ||
        event === 'fault' ||
        (event === 'gap' && line['kind'] !== 'epoch-ended') ||
        'raw' in line;
      if (isBad || line['level'] === 'fatal') this.failures.push(JSON.stringify(line));
    }
  }
}
