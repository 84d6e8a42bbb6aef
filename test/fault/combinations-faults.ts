import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../firmware-sim/random.ts';
import { injectFaults, storePaths } from '../helpers/strace.ts';
import { changed, exchangesOf, LANES } from './combinations-config.ts';
import type { FaultKind, PlannedFault } from './combinations-plan.ts';
import type { CombinationsSite } from './combinations-site.ts';
import { allFaultPoints } from './fault-points.ts';

const POINTS = allFaultPoints();
const RESET_EVERY_MS = 300;
const RELOAD_EVERY_MS = 300;
const RELEASE_EVERY_MS = 150;
/** Enough for some messages of each lane to be parked. */
const PARKING_MS = 400;
/** Down between an end and the next start. */
const LONGEST_DOWN_MS = 1_000;
const MANY = 2 ** 32;
/** How far the clock is off while it is wrong, as libfaketime has it. */
const OFFSETS: readonly string[] = ['+1h', '-1h', '+30d', '-30d', '+3650d', '-3650d'];

type Fault = (site: CombinationsSite, fault: PlannedFault) => Promise<void>;

/** One of these, by a number in [0, 1). */
function choose<T>(from: readonly T[], choice = 0): T {
  const chosen = from[Math.floor(choice * from.length)];
  if (chosen === undefined) throw new Error('there is nothing to choose from');
  return chosen;
}

/** Makes and ends the fault; resolves when it has ended. */
export async function makeFault(site: CombinationsSite, fault: PlannedFault): Promise<void> {
  await delay(fault.beginMs);
  await FAULTS[fault.kind](site, fault);
}

const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  'disk-full': async (site, { lengthMs }) => {
    site.isDiskFull = true;
    await site.disk.fillWholly();
    await delay(lengthMs);
    await site.disk.free();
    site.isDiskFull = false;
  },

  'failing-write': async (site, { lengthMs, choices }) => {
    const { faults } = choose(POINTS, choices[0]);
    const running = await site.gateway.running();
    const paths = await storePaths(site.storeDir);
    const attaching = injectFaults({ pid: running.pid, paths, faults });
    const injector = await attaching.catch((error: unknown) => {
      if (site.gateway.isUp(running)) throw error;
      return undefined; // killed meanwhile
    });
    if (injector === undefined) return;
    await delay(lengthMs);
    await injector.detach();
    site.failedCalls += injector.injected.length;
  },

  blocked: async ({ node }, { lengthMs }) => {
    await node.ctl('set_vm_memory_high_watermark', '0.00001');
    await delay(lengthMs);
    await node.ctl('set_vm_memory_high_watermark', 'absolute', '1GB');
  },

  frozen: async ({ node }, { lengthMs }) => {
    node.freeze();
    await delay(lengthMs);
    node.thaw();
  },

  cut: async ({ proxy }, { lengthMs, choices }) => {
    const cuts = {
      cut: async () => {
        await proxy.cut();
        await delay(lengthMs);
        await proxy.restore();
      },
      stall: async () => {
        proxy.stall();
        await delay(lengthMs);
        proxy.flow();
      },
      flap: async () => {
        for (let passedMs = 0; passedMs < lengthMs; passedMs += RESET_EVERY_MS) {
          proxy.resetAll();
          await delay(RESET_EVERY_MS);
        }
      },
    };
    await choose(Object.values(cuts), choices[0])();
  },

  reload: async (site, { lengthMs, choices: [choice = 0] }) => {
    const random = new Random(Math.floor(choice * MANY));
    const endMs = performance.now() + lengthMs;
    do {
      await site.gateway.reload(changed(site.gateway.config, site.original, random));
      await delay(random.between(0, RELOAD_EVERY_MS));
    } while (performance.now() < endMs);
  },

  unbind: async (site, { lengthMs, choices }) => {
    await unbound(site, choose(LANES, choices[0]), lengthMs);
  },

  release: async (site, { lengthMs, choices }) => {
    const lane = choose(LANES, choices[0]);
    await unbound(site, lane, PARKING_MS);
    const endMs = performance.now() + lengthMs;
    while (performance.now() < endMs) {
      await site.release(lane);
      await delay(RELEASE_EVERY_MS);
    }
  },

  kill: (site, { choices: [choice = 0] }) => {
    return site.gateway.restart('SIGKILL', choice * LONGEST_DOWN_MS);
  },

  stop: (site, { choices: [choice = 0] }) => {
    return site.gateway.restart('SIGTERM', choice * LONGEST_DOWN_MS);
  },

  clock: async ({ clock }, { lengthMs, choices }) => {
    await clock.sync('no');
    await clock.set(choose(OFFSETS, choices[0]));
    await delay(lengthMs);
    await clock.set('+0');
    await clock.sync('yes');
  },
};

/** Leaves the queue of a lane without its bindings for a while: what comes is returned, and parked. */
async function unbound(site: CombinationsSite, lane: string, lengthMs: number): Promise<void> {
  const { operator, account } = site;
  const queue = site.queueOf(lane);
  account.unbinding(lane);
  for (const exchange of exchangesOf(queue)) {
    await operator.assertExchange(exchange, 'topic');
    await operator.unbindQueue(queue, exchange, '#');
  }
  await delay(lengthMs);
  for (const exchange of exchangesOf(queue)) await operator.bindQueue(queue, exchange, '#');
  account.bound(lane);
}
