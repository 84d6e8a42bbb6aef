import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Account } from '../helpers/account.ts';
import { eventually } from '../helpers/eventually.ts';
import { Fleet } from '../helpers/fleet.ts';
import { laneState } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';
import { failuresOf, IS_SOAK, reportResult, SEED, scale } from '../helpers/soak.ts';

const SECONDS = scale('healthy-seconds', { short: 3, long: 60 });
const MESSAGES_PER_SECOND = 1_000;
const DEVICES = 20;
/** A test machine that is busy may hold a confirm up for longer than the default, which is not the link's fault. */
const SPILL_AFTER_MS = 5_000;
/** The store deletes what is settled every second. */
const TIDY_SECONDS = 2;
const PATIENCE_MS = 30_000;
const SOUND_LIMIT_MS = 90_000;
const RUN_LIMIT_MS = SECONDS * 1_000 + PATIENCE_MS;

/** What can be seen of writing, by the gateway itself and from outside. */
interface Written {
  /** `tidegate_store_bytes_written_total`. */
  readonly metric: number;
  /** Size and time of change of each file in the store. */
  readonly files: string;
  /** What the process has caused to be written to disks, as Linux counts it. */
  readonly processBytes: number;
}

async function written(site: Site): Promise<Written> {
  const values = await site.metrics();
  const names = (await readdir(site.storeDir, { recursive: true })).toSorted();
  const files: string[] = [];
  for (const name of names) {
    const { size, mtimeMs } = await stat(join(site.storeDir, name));
    files.push(`${name} ${size} ${mtimeMs}`);
  }
  const io = await readFile(`/proc/${site.gateway.pid}/io`, 'utf8');
  return {
    metric: values.get('tidegate_store_bytes_written_total') ?? -1,
    files: files.join('\n'),
    processBytes: Number(/^write_bytes: (\d+)$/m.exec(io)?.[1]),
  };
}

function isDirect(site: Site): Promise<void> {
  return eventually(async () => expect(laneState(await site.metrics(), LANE)).toBe('direct'), {
    withinMs: PATIENCE_MS,
  });
}

test('on a healthy link nothing is written to the store', async () => {
  const site = await createSite({
    amqpUrl: sharedAmqpUrl(),
    config: { delivery: { spillAfterMs: SPILL_AFTER_MS } },
    queue: { type: 'quorum' },
  });
  await site.start();
  const account = new Account();
  const { ledger } = account;
  site.consume((message) => account.delivered(message));
  const fleet = new Fleet({
    port: site.mqttPort,
    deviceCount: DEVICES,
    seed: SEED,
    ledger,
    messagesPerSecond: MESSAGES_PER_SECOND,
  });
  onTestFinished(() => fleet.stop());
  const acknowledged = (count: number): Promise<void> =>
    eventually(() => expect(ledger.acknowledgedCount).toBeGreaterThanOrEqual(count), {
      withinMs: RUN_LIMIT_MS,
    });
  fleet.start();
  // A long run must not begin before a start counts as sound: then its mark is removed, once.
  if (IS_SOAK) {
    await eventually(async () => expect(await readdir(site.storeDir)).not.toContain('opening'), {
      withinMs: SOUND_LIMIT_MS,
    });
  }
  // What arrives before the lane is open goes through the store, as it must, and is deleted a moment later.
  await isDirect(site);
  const before = await eventually(
    async () => {
      const earlier = await written(site);
      await acknowledged(ledger.acknowledgedCount + TIDY_SECONDS * MESSAGES_PER_SECOND);
      expect(await written(site)).toEqual(earlier);
      return earlier;
    },
    { withinMs: PATIENCE_MS },
  );

  const startCount = ledger.acknowledgedCount;
  await acknowledged(startCount + SECONDS * MESSAGES_PER_SECOND);
  const after = await written(site);
  const messages = ledger.acknowledgedCount - startCount;

  await site.proxy.cut();
  // Both: the files grow before the synced write ends, and the gateway counts after it.
  const whenCut = await eventually(
    async () => {
      const now = await written(site);
      expect(now.files).not.toBe(after.files);
      expect(now.metric).not.toBe(after.metric);
      return now;
    },
    { withinMs: PATIENCE_MS },
  );
  await site.proxy.restore();
  fleet.stopMeasuring();
  await eventually(() => expect(fleet.held).toBe(0), { withinMs: PATIENCE_MS });
  await site.drained();
  const verdict = ledger.verdict();
  const failures = failuresOf(verdict);
  if (after.metric !== before.metric) failures.push('the gateway says that it wrote to the store');
  if (after.files !== before.files) failures.push('files of the store have changed');
  if (after.processBytes !== before.processBytes) failures.push('the process wrote to a disk');
  const extras = {
    'messages on the healthy link': messages,
    'bytes to the store, by metric': after.metric - before.metric,
    'bytes to disks, by /proc': after.processBytes - before.processBytes,
    'and during a cut after that': whenCut.processBytes - after.processBytes,
  };
  const row = { name: `${SECONDS} s at ${MESSAGES_PER_SECOND} msg/s`, verdict, failures, extras };
  const title = 'A healthy link writes nothing to the store';
  reportResult({ scenario: 'healthy-link', title, rows: [row] });
  expect(failures).toEqual([]);
});
