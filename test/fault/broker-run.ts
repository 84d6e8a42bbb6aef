import { expect, onTestFinished } from 'vitest';
import { Account } from '../helpers/account.ts';
import { eventually } from '../helpers/eventually.ts';
import { Fleet } from '../helpers/fleet.ts';
import type { DeliveryLedger } from '../helpers/ledger.ts';
import { MemoryWatch } from '../helpers/memory-watch.ts';
import { createSite, type Site, type SiteOptions } from '../helpers/site.ts';
import { failuresOf, reportResult, SEED, scale } from '../helpers/soak.ts';
import type { ResultRow } from '../helpers/soak-result.ts';

const DEVICES = 20;
const MESSAGES_PER_SECOND = 400;
/** Before the fault, so that code is compiled and pools are filled when memory is first looked at. */
const WARM_UP_MESSAGES = 1_000;
/** After the fault, so that it is seen that things go on. */
const LATER_MESSAGES = 400;
const PATIENCE_MS = 90_000;
/** What a fault may leave behind in memory. */
const GROWTH_LIMIT_MIB = 30;
const MEMORY_PATIENCE_MS = 30_000;

/** Quick to notice what is silent, for the short form of a test. A soak has the defaults of the gateway. */
export const AMQP_LIMITS: object = {
  heartbeatMs: scale('heartbeat-ms', { short: 2_000, long: 10_000 }),
  confirmTimeoutMs: scale('confirm-timeout-ms', { short: 3_000, long: 30_000 }),
  connectTimeoutMs: scale('connect-timeout-ms', { short: 2_000, long: 10_000 }),
};

/** What a fault is given to work with. */
export interface FaultStage {
  readonly site: Site;
  readonly ledger: DeliveryLedger;
  /** Starts to consume; for a run that does not from the start. */
  consume(): void;
}

export interface BrokerRunOptions extends SiteOptions {
  readonly scenario: string;
  /** Of the scenario. */
  readonly title: string;
  /** What is done in this run. */
  readonly name: string;
  /** Of all devices together. Default 400. */
  readonly messagesPerSecond?: number;
  /** Default true. */
  readonly consumesFromStart?: boolean;
  /** Makes the fault and mends it. Resolves with what else it has measured. */
  fault(stage: FaultStage): Promise<Record<string, number | string>>;
}

/**
 * A fleet sends all the time, while the broker or the way to it has a fault and after that. Then all drains, and the
 * account is made, reported and expected to be whole.
 */
export async function runThroughFault(options: BrokerRunOptions): Promise<void> {
  const { scenario, title, messagesPerSecond = MESSAGES_PER_SECOND } = options;
  const site = await createSite({ queue: { type: 'quorum' }, ...options });
  await site.start();
  const account = new Account();
  const { ledger } = account;
  const consume = (): void => void site.consume((message) => account.delivered(message));
  if (options.consumesFromStart !== false) consume();
  const fleet = new Fleet({
    port: site.mqttPort,
    deviceCount: DEVICES,
    seed: SEED,
    ledger,
    messagesPerSecond,
  });
  onTestFinished(() => fleet.stop());
  fleet.start();
  await acknowledged(ledger, WARM_UP_MESSAGES);
  const memory = new MemoryWatch(() => site.gateway.rssBytes());
  memory.start();
  const beforeMib = await memory.steadyMib();
  const feltBefore = await felt(site);
  const acknowledgedBefore = ledger.acknowledgedCount;
  const startMs = performance.now();
  const extras = await options.fault({ site, ledger, consume });
  const faultSeconds = Math.round((performance.now() - startMs) / 100) / 10;
  const during = ledger.acknowledgedCount - acknowledgedBefore;
  await acknowledged(ledger, ledger.acknowledgedCount + LATER_MESSAGES);
  const { afterMib, grownBy } = await settledMemory(memory, beforeMib); // under load, as before
  await drain(site, fleet);
  const feltAfter = await felt(site);
  const stored = feltAfter.stored - feltBefore.stored;
  const refused = feltAfter.refused - feltBefore.refused;
  const verdict = ledger.verdict();
  // What the broker refuses may come after what was in flight behind it: docs/guarantees.md.
  const failures = failuresOf(verdict, refused > 0 ? ['reordered'] : []);
  if (verdict.delivered !== verdict.attempted) failures.push('not all was delivered in the end');
  if (account.renamed > 0) failures.push(`${account.renamed} messages got a second message-id`);
  if (during === 0) failures.push('nothing was acknowledged during the fault');
  if (stored + refused === 0)
    failures.push('the fault was not felt: nothing was stored or refused');
  if (grownBy > GROWTH_LIMIT_MIB) failures.push(`memory has grown by ${grownBy} MiB`);
  const row: ResultRow = {
    name: options.name,
    verdict,
    failures,
    extras: {
      'fault lasted, s': faultSeconds,
      'acknowledged during it': during,
      stored,
      'nacked or returned': refused,
      'memory before, MiB': beforeMib,
      'after, MiB': afterMib,
      'most, MiB': memory.peakMib,
      ...extras,
    },
  };
  reportResult({ scenario, title, rows: [row] });
  expect(failures).toEqual([]);
}

function acknowledged(ledger: DeliveryLedger, count: number): Promise<void> {
  return eventually(() => expect(ledger.acknowledgedCount).toBeGreaterThanOrEqual(count), {
    withinMs: PATIENCE_MS,
  });
}

/** Counters that a healthy link leaves as they are. */
async function felt(site: Site): Promise<{ stored: number; refused: number }> {
  return {
    stored: await site.laneMetric('stored_total'),
    refused: (await site.laneMetric('nacked_total')) + (await site.laneMetric('returned_total')),
  };
}

/** Everything that was sent is acknowledged, settled and consumed. */
async function drain(site: Site, fleet: Fleet): Promise<void> {
  fleet.stopMeasuring();
  await eventually(() => expect(fleet.held).toBe(0), { withinMs: PATIENCE_MS });
  await fleet.stop();
  await site.drained();
}

/** Memory when it is back near where it was, or as it is after a while. */
async function settledMemory(
  memory: MemoryWatch,
  beforeMib: number,
): Promise<{ afterMib: number; grownBy: number }> {
  const deadlineMs = performance.now() + MEMORY_PATIENCE_MS;
  for (;;) {
    const afterMib = await memory.steadyMib();
    const grownBy = afterMib - beforeMib;
    if (grownBy <= GROWTH_LIMIT_MIB || performance.now() > deadlineMs) return { afterMib, grownBy };
  }
}
