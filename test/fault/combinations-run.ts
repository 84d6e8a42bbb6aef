import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import type { LogLine } from '../helpers/gateway-process.ts';
import type { LedgerVerdict } from '../helpers/ledger.ts';
import { LANES, withExtra } from './combinations-config.ts';
import { makeFault } from './combinations-faults.ts';
import { describeFault, drops, type FaultKind, type Round } from './combinations-plan.ts';
import type { CombinationsSite } from './combinations-site.ts';

/** In this time after the last fault everything moves again, and goes on moving. */
const STILL_LIMIT_MS = 10_000;
/** What the gateway may tell of its store when the disk has faults. */
const DISK_EVENTS: readonly string[] = [
  'store-trouble',
  'store-recovered',
  'store-checkpoint-failed',
];
const DISK_FAULTS: readonly FaultKind[] = ['disk-full', 'failing-write'];
/** Enough for some hundred messages to come in. */
const LOADED_MS = 1_500;
/** Messages that a failure names. */
const SHOWN = 8;
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

/** What is not done yet. */
interface Left {
  readonly count: number;
  /** Some of it, for people. */
  readonly what: string;
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
    await this.#goesOn(performance.now());
    await this.#step('the mapping that comes and goes is back', async () => {
      await site.gateway.reload(withExtra(site.gateway.config, site.original));
    });
    for (const device of site.devices) device.pause();
    await this.#step('what is under way is acknowledged', () =>
      this.#shrinks(async () => this.#underWay()),
    );
    await this.#step('what is stored and parked is delivered', () =>
      this.#shrinks(async () => {
        for (const lane of LANES) await site.release(lane);
        return await this.#unsettled();
      }),
    );
    await this.#step('what was delivered is consumed', () => site.consumed());
    await this.#step('the gateway answers', () => this.#judge());
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
            ...LANES.filter((lane) => !account.hasDeliveredSince(lane, sinceMs)),
          ];
          expect(still, 'stand still').toEqual([]);
        },
        { withinMs: STILL_LIMIT_MS },
      ),
    );
  }

  /** Resolves when there is nothing left. It may take long, but never stands still. */
  async #shrinks(look: () => Promise<Left>): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    while (least > 0) {
      least = await eventually(
        async () => {
          const { count, what } = await look();
          if (count > 0 && count >= least) throw new Error(`left are ${count}: ${what}`);
          return count;
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

  #underWay(): Left {
    const left = this.#site.devices.flatMap(({ name, underWay }) =>
      underWay.map((counter) => `${name}/${counter}`),
    );
    return { count: left.length, what: left.slice(0, SHOWN).join(' ') };
  }

  async #unsettled(): Promise<Left> {
    const left = [...(await this.#site.metrics())].filter(
      ([name, value]) => UNSETTLED.test(name) && value > 0,
    );
    const count = left.reduce((sum, [, value]) => sum + value, 0);
    return { count, what: left.map((pair) => pair.join(' ')).join(', ') };
  }

  async #judge(): Promise<void> {
    const { plan, gateway } = this.#site;
    const kinds = plan.rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind));
    const expected = kinds.some((kind) => DISK_FAULTS.includes(kind)) ? DISK_EVENTS : [];
    for (const line of gateway.newLines()) {
      if (line['event'] === 'store-trouble') this.#storeTroubles += 1;
      if (isBad(line, expected)) this.#failures.push(JSON.stringify(line));
    }
    for (const [name, value] of await this.#site.metrics()) {
      if (name.startsWith('tidegate_lane_damaged_total') && value > 0) {
        this.#failures.push(`${name} is ${value}`);
      }
    }
  }
}

/** A fault that the gateway did not foresee, or something of its store that nothing has caused. */
function isBad(line: LogLine, expected: readonly string[]): boolean {
  const event = String(line['event']);
  const isFinding = event.startsWith('store-') && !expected.includes(event);
  return isFinding || event === 'fault' || 'raw' in line || line['level'] === 'fatal';
}
