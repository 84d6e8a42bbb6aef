import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumeMessage } from 'amqplib';
import { expect, onTestFinished } from 'vitest';
import { Device } from '../../firmware-sim/device.ts';
import { Random } from '../../firmware-sim/random.ts';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger, format, type LedgerVerdict } from '../helpers/ledger.ts';
import { laneState } from '../helpers/scrape.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';

/** What the uplink is like while the gateway runs towards a kill. */
export type Uplink = 'up' | 'cut';

export interface KillRunOptions {
  readonly amqpUrl: string;
  readonly mode: 'adaptive' | 'disk-first';
  readonly seed: number;
  readonly deviceCount: number;
  /** Readings go on at least until so many were sent, and until the last kill. */
  readonly minMessages: number;
  /** One kill for each. */
  readonly uplinks: readonly Uplink[];
  /** Options of node for the gateways that are killed; the one that drains in the end has none. */
  readonly execArgv?: readonly string[];
}

export interface KillRunResult extends LedgerVerdict {
  readonly kills: number;
  /** PUBLISHes with DUP, as the devices count them. */
  readonly resentByDevices: number;
  /** Second message-ids of messages that no device sent again: the gateway would have renamed a message. */
  readonly renamed: number;
}

/** More than the window of a device, so that there is always something to send. */
const HELD_PER_DEVICE = 60;
const TOP_UP_MS = 15;
/** Acknowledgements there must be between two kills, so that each kill hits a gateway at work. */
const WORK_BETWEEN_KILLS = 300;
const LONGEST_EXTRA_MS = 600;
const PATIENCE_MS = 30_000;

/**
 * Devices send without pause while the gateway is killed with SIGKILL at random moments and started again, then all
 * drains over a good uplink, and the account is made from outside.
 */
export async function runKills(options: KillRunOptions): Promise<KillRunResult> {
  const site = await createSite({
    amqpUrl: options.amqpUrl,
    config: { delivery: { mode: options.mode, directAfterMs: 50 } },
  });
  await site.start(options.execArgv);
  const account = new Account();
  site.consume((message) => account.delivered(message));
  const fleet = new Fleet(options, site.mqttPort, account.ledger);
  onTestFinished(() => fleet.stop());
  fleet.start();
  const states = await killAll(options, site, account.ledger);
  await eventually(() => expect(fleet.measured).toBeGreaterThanOrEqual(options.minMessages), {
    withinMs: PATIENCE_MS,
  });
  fleet.stopMeasuring();
  await site.proxy.restore();
  await eventually(() => expect(fleet.held).toBe(0), { withinMs: PATIENCE_MS });
  await fleet.stop();
  await site.drained();
  const verdict = account.ledger.verdict();
  const { mode, seed, uplinks } = options;
  const kills = uplinks.length;
  process.stdout.write(
    `${mode}, seed ${seed}, ${kills} kills (${states.join(', ')}): ${format(verdict)}\n`,
  );
  return { ...verdict, kills, resentByDevices: fleet.resent, renamed: account.renamed };
}

/** Returns the state of the lane just before each kill. */
async function killAll(
  { uplinks, seed, execArgv }: KillRunOptions,
  site: Site,
  ledger: DeliveryLedger,
): Promise<string[]> {
  const random = new Random(seed);
  const states: string[] = [];
  for (const [index, uplink] of uplinks.entries()) {
    if (uplink === 'cut') await site.proxy.cut();
    else await site.proxy.restore();
    const goal = ledger.verdict().acknowledged + WORK_BETWEEN_KILLS;
    await eventually(() => expect(ledger.verdict().acknowledged).toBeGreaterThanOrEqual(goal), {
      withinMs: PATIENCE_MS,
    });
    // Not a wait for something: the kill may come at any moment.
    await delay(random.between(0, LONGEST_EXTRA_MS));
    states.push(`${uplink}/${laneState(await site.metrics(), LANE)}`);
    await site.gateway.kill();
    await site.start(index === uplinks.length - 1 ? [] : execArgv);
  }
  return states;
}

/** What was delivered, and whether a message got a second name without having been sent twice. */
class Account {
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  readonly #names = new Map<string, string>();
  #renamed = 0;

  get renamed(): number {
    return this.#renamed;
  }

  delivered(message: ConsumeMessage): void {
    const { device, counter } = JSON.parse(message.content.toString()) as {
      device: string;
      counter: number;
    };
    const id = `${device}/${counter}`;
    const messageId: string = message.properties.messageId;
    const name = this.#names.get(id) ?? messageId;
    this.#names.set(id, name);
    if (name !== messageId && message.properties.headers?.['x-mqtt-dup'] !== true) this.#renamed++;
    this.ledger.delivered({ id, messageId, deviceKey: device, counter });
  }
}

/** Devices that always have something to send. */
class Fleet {
  readonly #devices: readonly Device[];
  #timer: NodeJS.Timeout | undefined;

  constructor({ deviceCount, seed }: KillRunOptions, port: number, ledger: DeliveryLedger) {
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

  get measured(): number {
    return this.#sum((device) => device.tally.measured);
  }

  get held(): number {
    return this.#sum((device) => device.held);
  }

  get resent(): number {
    return this.#sum((device) => device.tally.resent);
  }

  start(): void {
    for (const device of this.#devices) device.start();
    this.#timer = setInterval(() => {
      for (const device of this.#devices) {
        for (let held = device.held; held < HELD_PER_DEVICE; held++) device.measure();
      }
    }, TOP_UP_MS);
  }

  stopMeasuring(): void {
    clearInterval(this.#timer);
  }

  async stop(): Promise<void> {
    this.stopMeasuring();
    await Promise.all(this.#devices.map((device) => device.stop()));
  }

  #sum(count: (device: Device) => number): number {
    return this.#devices.reduce((sum, device) => sum + count(device), 0);
  }
}
