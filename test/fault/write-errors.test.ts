import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger } from '../helpers/ledger.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { failuresOf, reportResult, scale } from '../helpers/soak.ts';
import { injectFaults, storePaths } from '../helpers/strace.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { allFaultPoints, type FaultPoint } from './fault-points.ts';
import { connectSteadyDevice, type SteadyDevice, type SteadyPayload } from './steady-device.ts';

const POINTS = scale('write-error-points', { short: 8, long: 200 });
/** Points that share one run of the gateway, which ends with a SIGKILL. */
const POINTS_PER_RUN = 5;
const DEVICES = 4;
const WINDOW = 50;
/** LevelDB makes a table of every 4 MiB: with messages of this size it does so several times a second. */
const PADDING = 'x'.repeat(6 * 1024);
/** Long enough for several tries of the gateway to write, which are 250 ms apart. */
const LASTING_MS = 600;
/** PUBACKs after a fault that show that the gateway is at work again: some windows of all devices. */
const RECOVERED_PUBACKS = 500;
const PATIENCE_MS = 20_000;
const LIMIT_MS = 20 * 60_000;

type Uplink = 'up' | 'cut';

/** A gateway under load whose writes are made to fail. */
class WriteErrorRun {
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

  async #meetOne({ faults, syscall, isLasting }: FaultPoint): Promise<void> {
    const injector = await injectFaults({
      pid: this.#site.gateway.pid,
      paths: await storePaths(this.#storeDir),
      faults,
    });
    try {
      await eventually(
        () => {
          if (!injector.injected.some((line) => line.includes(syscall))) {
            throw new Error(`no ${syscall} was made to fail`);
          }
        },
        { withinMs: PATIENCE_MS, everyMs: 5 },
      );
      // Not a wait for something: this is how long the fault lasts.
      if (isLasting) await delay(LASTING_MS);
    } finally {
      await injector.detach();
    }
    this.injected += injector.injected.length;
    await this.#recovered();
  }

  async #recovered(): Promise<void> {
    const liftedMs = performance.now();
    const goal = this.ledger.verdict().acknowledged + RECOVERED_PUBACKS;
    await eventually(() => expect(this.ledger.verdict().acknowledged).toBeGreaterThan(goal), {
      withinMs: PATIENCE_MS,
    });
    this.slowestRecoveryMs = Math.max(this.slowestRecoveryMs, performance.now() - liftedMs);
  }

  /** No fault may be one that the gateway did not foresee, and no record may be found damaged. */
  #judgeLog(): void {
    for (const line of this.#site.gateway.logs()) {
      const isBad = line['event'] === 'fault' || line['event'] === 'store-damaged' || 'raw' in line;
      if (isBad || line['level'] === 'fatal') this.failures.push(JSON.stringify(line));
    }
  }
}

test.for([
  { mode: 'disk-first', uplink: 'up', part: 0 },
  { mode: 'adaptive', uplink: 'cut', part: 1 },
] as const)(
  'a write that fails, once or for a while, costs no acknowledged message and no restart: $mode, uplink $uplink',
  { timeout: LIMIT_MS },
  async ({ mode, uplink, part }) => {
    vi.stubEnv('UV_THREADPOOL_SIZE', '1'); // strace counts for each thread
    const storeDir = `${await tempDir('store')}/store`;
    const site = await createSite({
      amqpUrl: sharedAmqpUrl(),
      config: { store: { path: storeDir, reserveBytes: 0 }, delivery: { mode } },
    });
    const run = new WriteErrorRun(site, storeDir, uplink);
    await run.begin();
    const points = choose(POINTS).filter((_, index) => Math.floor(index / 2) % 2 === part);
    for (let at = 0; at < points.length; at += POINTS_PER_RUN) {
      await run.meet(points.slice(at, at + POINTS_PER_RUN));
    }
    const verdict = run.ledger.verdict();
    const failures = [...run.failures, ...failuresOf(verdict)];
    const { injected, slowestRecoveryMs } = run;
    reportResult({
      scenario: 'write-errors',
      title: 'Calls that write to the store fail, once or for a while, under load',
      rows: [
        {
          name: `${points.length} points, ${mode}, uplink ${uplink}`,
          verdict,
          failures,
          extras: { injected, slowestRecoveryMs: Math.round(slowestRecoveryMs) },
        },
      ],
    });
    expect(failures).toEqual([]);
  },
);

/** So many points, spread over all of them. */
function choose(count: number): FaultPoint[] {
  const all = allFaultPoints();
  return all.filter(
    (_, index) =>
      Math.floor((index * count) / all.length) !== Math.floor(((index - 1) * count) / all.length),
  );
}
