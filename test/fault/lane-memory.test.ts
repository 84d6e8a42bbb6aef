import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { MemoryWatch } from '../helpers/memory-watch.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site, sumOf } from '../helpers/site.ts';

const PAYLOAD_BYTES = 256 * 1024;
const SLOW_LINK_BYTES_PER_SECOND = 4_000_000;
/** What the gateway may take, however many lanes there are. */
const LIMIT_MB = 250;
const MIB_IN_MB = 1024 ** 2 / 1e6;
/** How quickly so many lanes start is not the question here. */
const READY_LIMIT_MS = 90_000;
const PATIENCE = { withinMs: 120_000, everyMs: 250 };

/** Devices that send one message each to all lanes of a site, and what has arrived of it. */
class Senders {
  readonly #site: Site;
  readonly #clients: { readonly id: string; readonly client: RawMqttClient }[] = [];
  readonly #lanes = new Map<string, Set<string>>();

  constructor(site: Site) {
    this.#site = site;
    site.consume(({ properties: { headers } }) => {
      const id: string = headers?.['x-client-id'];
      const known = this.#lanes.get(id) ?? new Set();
      this.#lanes.set(id, known.add(headers?.['x-lane']));
    });
  }

  async send(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const id = `device-${this.#clients.length + 1}`;
      const client = await RawMqttClient.open(this.#site.mqttPort, { clientId: id });
      client.publish(1, 'devices/d/telemetry/t', { payload: randomBytes(PAYLOAD_BYTES) });
      this.#clients.push({ id, client });
    }
  }

  /** All are acknowledged. */
  async acknowledged(): Promise<void> {
    await eventually(() => {
      for (const { client } of this.#clients) expect(client.ids('puback')).toEqual([1]);
    }, PATIENCE);
  }

  /** All have arrived, in so many lanes. */
  async arrived(lanes: number): Promise<void> {
    await eventually(() => {
      for (const { id } of this.#clients) expect(this.#lanes.get(id)?.size ?? 0).toBe(lanes);
    }, PATIENCE);
  }

  /** So many lanes have delivered something. */
  async begun(lanes: number): Promise<void> {
    await eventually(() => {
      const all = [...this.#lanes.values()].flatMap((names) => [...names]);
      expect(new Set(all).size).toBeGreaterThanOrEqual(lanes);
    }, PATIENCE);
  }
}

interface Watches {
  readonly all: MemoryWatch;
  readonly anonymous: MemoryWatch;
}

function watch(site: Site): Watches {
  const all = new MemoryWatch(() => site.gateway.rssBytes());
  const anonymous = new MemoryWatch(() => site.gateway.anonymousBytes());
  all.start();
  anonymous.start();
  return { all, anonymous };
}

/** Tables of the store that are mapped are resident too, for as long as nothing else needs the memory: they do not count. */
function expectBounded({ all, anonymous }: Watches, what: string): void {
  const peakMb = Math.round(anonymous.peakMib * MIB_IN_MB);
  const allMb = Math.round(all.peakMib * MIB_IN_MB);
  process.stdout.write(`${what}: at most ${peakMb} MB, with mapped files ${allMb} MB resident\n`);
  expect(peakMb).toBeGreaterThan(0);
  expect(peakMb).toBeLessThan(LIMIT_MB);
}

test('1,000 lanes that drain messages of 256 KiB over a slow link stay within 250 MB', async () => {
  const lanes = 1_000;
  const site = await createSite({ amqpUrl: sharedAmqpUrl(), lanes, readyLimitMs: READY_LIMIT_MS });
  await site.proxy.cut();
  await site.start();
  const memory = watch(site);
  const senders = new Senders(site);
  await senders.send(2);
  await senders.acknowledged();
  site.proxy.throttle(SLOW_LINK_BYTES_PER_SECOND);
  await site.proxy.restore();
  await senders.begun(100);
  await senders.send(1); // behind what drains
  await senders.acknowledged();
  await senders.begun(200);
  site.proxy.throttle(undefined);
  await senders.arrived(lanes);
  expectBounded(memory, 'backlog of 1,000 lanes');
}, 400_000);

test('200 lanes that publish messages of 256 KiB directly over a slow link stay within 250 MB', async () => {
  const lanes = 200;
  const site = await createSite({ amqpUrl: sharedAmqpUrl(), lanes, readyLimitMs: READY_LIMIT_MS });
  await site.start();
  await eventually(async () => {
    expect(sumOf(await site.metrics(), 'tidegate_lane_state{')).toBeGreaterThan(0);
    const open = site.gateway.logs().filter((line) => line['event'] === 'lane-open');
    expect(open.length).toBe(lanes + 1); // and the gap manifest
  }, PATIENCE);
  const memory = watch(site);
  const senders = new Senders(site);
  site.proxy.throttle(SLOW_LINK_BYTES_PER_SECOND);
  await senders.send(10);
  await senders.acknowledged();
  await senders.begun(100);
  site.proxy.throttle(undefined);
  await senders.arrived(lanes);
  expectBounded(memory, 'direct, 200 lanes');
}, 400_000);
