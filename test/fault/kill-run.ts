import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { Account } from '../helpers/account.ts';
import { eventually } from '../helpers/eventually.ts';
import { Fleet } from '../helpers/fleet.ts';
import type { DeliveryLedger, LedgerVerdict } from '../helpers/ledger.ts';
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
  /** Acknowledgements there must be between two kills, so that each kill hits a gateway at work. Default 300. */
  readonly workBetweenKills?: number;
  /** One kill for each. */
  readonly uplinks: readonly Uplink[];
  /** Options of node for the gateways that are killed; the one that drains in the end has none. */
  readonly execArgv?: readonly string[];
}

export interface KillRunResult {
  readonly verdict: LedgerVerdict;
  readonly kills: number;
  /** PUBLISHes with DUP, as the devices count them. */
  readonly resentByDevices: number;
  /** Second message-ids of messages that no device sent again: the gateway would have renamed a message. */
  readonly renamed: number;
  /** Deliveries repeated between one kill and the next, for each kill. */
  readonly redeliveredPerKill: readonly number[];
  /** Kills by state of uplink and lane, such as `up/direct`. */
  readonly states: Readonly<Record<string, number>>;
}

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
  const { deviceCount, seed } = options;
  const account = new Account();
  const { ledger } = account;
  site.consume((message) => account.delivered(message));
  const fleet = new Fleet({ port: site.mqttPort, deviceCount, seed, ledger });
  onTestFinished(() => fleet.stop());
  fleet.start();
  const { states, redelivered } = await killAll(options, site, ledger);
  await eventually(() => expect(fleet.measured).toBeGreaterThanOrEqual(options.minMessages), {
    withinMs: PATIENCE_MS,
  });
  fleet.stopMeasuring();
  await site.proxy.restore();
  await eventually(() => expect(fleet.held).toBe(0), { withinMs: PATIENCE_MS });
  await fleet.stop();
  await site.drained();
  return {
    verdict: ledger.verdict(),
    kills: options.uplinks.length,
    resentByDevices: fleet.resent,
    renamed: account.renamed,
    redeliveredPerKill: differences([...redelivered, ledger.redeliveredCount]),
    states,
  };
}

/** Returns the state of the lane just before each kill, and what had been redelivered until then. */
async function killAll(
  { uplinks, seed, execArgv, workBetweenKills = WORK_BETWEEN_KILLS }: KillRunOptions,
  site: Site,
  ledger: DeliveryLedger,
): Promise<{ states: Record<string, number>; redelivered: number[] }> {
  const random = new Random(seed);
  const states: Record<string, number> = {};
  const redelivered: number[] = [];
  for (const [index, uplink] of uplinks.entries()) {
    if (uplink === 'cut') await site.proxy.cut();
    else await site.proxy.restore();
    const goal = ledger.acknowledgedCount + workBetweenKills;
    await eventually(() => expect(ledger.acknowledgedCount).toBeGreaterThanOrEqual(goal), {
      withinMs: PATIENCE_MS,
    });
    // Not a wait for something: the kill may come at any moment.
    await delay(random.between(0, LONGEST_EXTRA_MS));
    const state = `${uplink}/${laneState(await site.metrics(), LANE)}`;
    states[state] = (states[state] ?? 0) + 1;
    redelivered.push(ledger.redeliveredCount);
    await site.gateway.kill();
    await site.start(index === uplinks.length - 1 ? [] : execArgv);
  }
  return { states, redelivered };
}

function differences(values: readonly number[]): number[] {
  return values.slice(1).map((value, index) => value - (values[index] ?? 0));
}
