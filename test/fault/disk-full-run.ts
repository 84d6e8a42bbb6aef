import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger } from '../helpers/ledger.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';
import { connectSteadyDevice, type SteadyDevice, type SteadyPayload } from './steady-device.ts';

const WINDOW = 50;
/** What does not get smaller in LevelDB's tables: the disk is full the sooner. */
const PADDING = randomBytes(3 * 1024).toString('base64');
const PATIENCE_MS = 30_000;
/** PUBACKs that show that writing goes on again. */
const RECOVERED_PUBACKS = 500;

export interface DiskFullOptions {
  /** With 0 the disk fills to the last byte and LevelDB's writes fail; with more they never begin. */
  readonly reserveBytes: number;
  readonly ballastBytes: number;
}

/** A gateway with its store on a small disk, and a device that publishes to it. */
export class DiskFullRun {
  readonly site: Site;
  readonly disk: SmallDisk;
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  #device: SteadyDevice | undefined;

  constructor(site: Site, disk: SmallDisk) {
    this.site = site;
    this.disk = disk;
  }

  get acknowledged(): number {
    return this.ledger.verdict().acknowledged;
  }

  /** Starts the gateway, the device and the consumer; nothing is published so far. */
  async begin(): Promise<void> {
    await this.site.start();
    this.site.consume((message) => {
      const { device, counter } = JSON.parse(message.content.toString()) as SteadyPayload;
      const { messageId } = message.properties;
      this.ledger.delivered({ id: `${device}/${counter}`, messageId, deviceKey: device, counter });
    });
    this.#device = await connectSteadyDevice({
      port: this.site.mqttPort,
      name: 'device',
      ledger: this.ledger,
      window: WINDOW,
      padding: PADDING,
    });
  }

  publish(): void {
    this.#device?.resume();
  }

  async acknowledgedAtLeast(count: number): Promise<void> {
    await eventually(() => expect(this.acknowledged).toBeGreaterThanOrEqual(count), {
      withinMs: PATIENCE_MS,
    });
  }

  /** Resolves when the gateway says that it cannot write. */
  async unwritable(): Promise<void> {
    await eventually(async () => expect(await this.#writable()).toBe(0), {
      withinMs: PATIENCE_MS,
      everyMs: 20,
    });
  }

  /** Resolves when it says that it can, and has acknowledged a good deal more than it had. */
  async recovered(): Promise<void> {
    const before = this.acknowledged;
    await eventually(
      async () => {
        expect(await this.#writable()).toBe(1);
        expect(this.acknowledged).toBeGreaterThan(before + RECOVERED_PUBACKS);
      },
      { withinMs: PATIENCE_MS, everyMs: 20 },
    );
  }

  /** Ends the gateway with SIGKILL, starts it again, and sees all through to the consumer. */
  async killAndDrain(): Promise<void> {
    await this.site.gateway.kill();
    await this.site.start();
    await this.drain();
  }

  /** Lets the device end what is under way and sees all through to the consumer. */
  async drain(): Promise<void> {
    await this.site.proxy.restore();
    this.#device?.pause();
    await eventually(() => expect(this.#device?.underWay).toBe(0), { withinMs: PATIENCE_MS });
    await this.site.drained();
  }

  async #writable(): Promise<number | undefined> {
    return (await this.site.metrics()).get('tidegate_store_writable');
  }
}

/** Makes the disk and the site; the gateway does not run yet. */
export async function createDiskFullRun(options: DiskFullOptions): Promise<DiskFullRun> {
  const disk = await mountSmallDisk();
  const site = await createSite({
    amqpUrl: sharedAmqpUrl(),
    config: { store: { path: `${disk.folder}/store`, ...options } },
  });
  return new DiskFullRun(site, disk);
}
