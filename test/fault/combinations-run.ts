import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import type { LogLine } from '../helpers/gateway-process.ts';
import type { LedgerVerdict } from '../helpers/ledger.ts';
import { EXTRA, LANES, withExtra } from './combinations-config.ts';
import { makeFault } from './combinations-faults.ts';
import { describeFault, drops, type Round } from './combinations-plan.ts';
import type { CombinationsSite } from './combinations-site.ts';

/** In this time after the last fault everything moves again, and goes on moving. */
const STILL_LIMIT_MS = 10_000;
/** Of the store, when writing fails. Without them no fault of the disk may be seen in the log. */
const EXPECTED_EVENTS: readonly string[] = [
  'store-trouble',
  'store-recovered',
  'store-checkpoint-failed',
];
/** Enough for some hundred messages to come in. */
const LOADED_MS = 1_500;
const UNSETTLED = /^tidegate_lane_(backlog|in_flight|parked)_messages\{/;

export interface CombinationsResult {
  readonly verdict: LedgerVerdict;
  readonly failures: readonly string[];
  /** Times at which something stood still. */
  readonly stuck: number;
  /** Calls on the store that were made to fail. */
  readonly failedCalls: number;
  /** Times at which the gateway said that it cannot write. */
  readonly storeTroubles: number;
  /** Losses named by events, by reason. */
  readonly told: Readonly<Record<string, number>>;
}

/** A plan as it is carried out. */
export class CombinationsRun {
  readonly #site: CombinationsSite;
  readonly #failures: string[] = [];
  #stuck = 0;
  #storeTroubles = 0;

  constructor(site: CombinationsSite) {
    this.#site = site;
  }

  /** Carries it all out, and judges. Never rejects for what the gateway does. */
  async run(): Promise<CombinationsResult> {
    const { plan, account, gateway } = this.#site;
    await this.#site.begin();
    for (const round of plan.rounds) await this.#round(round);
    const failures = [
      ...this.#failures,
      ...gateway.failures,
      ...account.failures(drops(plan) ? ['full'] : []),
    ];
    return {
      verdict: account.verdict(),
      failures,
      stuck: this.#stuck,
      failedCalls: this.#site.failedCalls,
      storeTroubles: this.#storeTroubles,
      told: account.toldByReason(),
    };
  }

  async #round({ faults, ending }: Round): Promise<void> {
    const site = this.#site;
    for (const device of site.devices) device.resume();
    await this.#goesOn(performance.now());
    await Promise.all(
      faults.map((fault) =>
        makeFault(site, fault).catch((error: unknown) => {
          this.#failures.push(`${describeFault(fault)}: ${error}`);
        }),
      ),
    );
    if (ending !== undefined) await this.#end(ending);
    await this.#step('the mapping that comes and goes is back', async () => {
      await site.reload(withExtra(site.gateway.config, site.original));
    });
    await this.#goesOn(performance.now());
    for (const device of site.devices) device.pause();
    await this.#step('what is under way is acknowledged', () =>
      this.#shrinks(async () => site.devices.reduce((sum, { underWay }) => sum + underWay, 0)),
    );
    await this.#step('what is stored and parked is delivered', () =>
      this.#shrinks(async () => {
        for (const lane of LANES) await site.release(lane);
        return await this.#unsettled();
      }),
    );
    await this.#step('what was delivered is consumed', () => site.consumed());
    await this.#judge();
  }

  /** Ends the gateway and starts it again with what comes to it over a cut link. */
  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { proxy, gateway } = this.#site;
    await proxy.cut();
    await delay(LOADED_MS);
    await this.#step(`it starts after ${signal}`, () => gateway.restart(signal, 0));
    await proxy.restore();
  }

  /** Each device gets new messages acknowledged, and each lane delivers, within the limit. */
  #goesOn(sinceMs: number): Promise<void> {
    const { account, devices } = this.#site;
    return this.#step('all goes on', () =>
      eventually(
        () => {
          const still = [
            ...devices
              .map(({ name }) => name)
              .filter((name) => !account.hasAcknowledgedSince(name, sinceMs)),
            ...[...LANES, EXTRA].filter((lane) => !account.hasDeliveredSince(lane, sinceMs)),
          ];
          expect(still, 'stand still').toEqual([]);
        },
        { withinMs: STILL_LIMIT_MS },
      ),
    );
  }

  /** Resolves when there is nothing left. It may take long, but never stands still. */
  async #shrinks(left: () => Promise<number>): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    while (least > 0) {
      least = await eventually(
        async () => {
          const now = await left();
          expect(now === 0 || now < least, `still ${now} left`).toBe(true);
          return now;
        },
        { withinMs: STILL_LIMIT_MS, everyMs: 100 },
      );
    }
  }

  /** Something that must come about; a failure stands for what stood still. */
  async #step(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#stuck += 1;
      this.#failures.push(`${what}: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #unsettled(): Promise<number> {
    let sum = 0;
    for (const [name, value] of await this.#site.metrics()) if (UNSETTLED.test(name)) sum += value;
    return sum;
  }

  async #judge(): Promise<void> {
    for (const line of this.#site.gateway.newLines()) {
      if (line['event'] === 'store-trouble') this.#storeTroubles += 1;
      if (isBad(line)) this.#failures.push(JSON.stringify(line));
    }
    for (const [name, value] of await this.#site.metrics()) {
      if (name.startsWith('tidegate_lane_damaged_total') && value > 0) {
        this.#failures.push(`${name} is ${value}`);
      }
    }
  }
}

/** A fault that the gateway did not foresee, or something found damaged or missing in its store. */
function isBad(line: LogLine): boolean {
  const event = String(line['event']);
  const isFinding = event.startsWith('store-') && !EXPECTED_EVENTS.includes(event);
  return isFinding || event === 'fault' || 'raw' in line || line['level'] === 'fatal';
}
