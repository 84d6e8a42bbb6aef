import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { WhenFull } from '../../src/config/types.ts';
import type { Gap } from '../../src/delivery/gap-manifest.ts';
import { Lane } from '../../src/delivery/lane.ts';
import { promised } from '../../src/shared/receipt.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { eventually } from '../helpers/eventually.ts';
import { FakePublisher } from '../helpers/fake-publisher.ts';
import { roomyLane } from '../helpers/lane-room.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const MIB = 1024 * 1024;
const MAX_BYTES = 16 * MIB;
/** Of 8 KiB each, half as much again as there is room for. */
const FLOOD = 3_000;
/** Random, so that LevelDB cannot make it smaller. */
const PAYLOAD = randomBytes(8 * 1024);
const PATIENCE = { withinMs: 60_000 };

interface FullStore {
  readonly store: LevelStore;
  readonly lane: Lane;
  readonly publisher: FakePublisher;
  readonly gaps: Gap[];
  readonly trouble: unknown[];
  /** Messages that are safe, or given up and named. */
  acknowledged(): number;
  refused(): number;
}

/** A lane without limits of its own that has taken more than the store may hold, while the link was away. */
async function floodedLane(whenFull: WhenFull): Promise<FullStore> {
  const trouble: unknown[] = [];
  const path = await tempDir();
  const store = new LevelStore(
    { path, maxBytes: MAX_BYTES, reserveBytes: 0, ballastBytes: 0 },
    {
      onFinding: (finding) => trouble.push(finding),
      onTrouble: (error) => trouble.push(error),
      onRecovered: () => undefined,
    },
  );
  await store.open();
  onTestFinished(() => store.close());
  const gaps: Gap[] = [];
  const publisher = new FakePublisher();
  const lane = new Lane({
    name: 'telemetry',
    gatewayId: 'g',
    epoch: store.epoch,
    run: 'aaaaaaaaaaaaaaaa',
    elapsedMs: () => Math.round(performance.now()),
    config: {
      mode: 'adaptive',
      spillAfterMs: 250,
      directAfterMs: 1_000,
      window: { maxMessages: 100, maxBytes: MIB },
      parkedRetryMs: 60_000,
    },
    onUnroutable: 'park',
    onReject: 'retry',
    confirmTimeoutMs: 30_000,
    parkedBefore: 0,
    ...roomyLane(gaps),
    whenFull,
    storeFullness: () => store.fullness,
    log: await store.lane('telemetry'),
    publisher,
    onEvent: () => undefined,
  });
  lane.start();
  onTestFinished(() => lane.stop(AbortSignal.abort()));
  const counts = { acknowledged: 0, refused: 0 };
  for (let n = 0; n < FLOOD; n += 1) {
    const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
    promised((receipt) =>
      lane.accept({ topic: 'a/b', payload: PAYLOAD, ...rest }, 'a.b', receipt),
    ).then(
      () => {
        counts.acknowledged += 1;
      },
      () => {
        counts.refused += 1;
      },
    );
  }
  await eventually(() => expectSettled(counts, FLOOD, lane), PATIENCE);
  const [acknowledged, refused] = [() => counts.acknowledged, () => counts.refused];
  return { store, lane, publisher, gaps, trouble, acknowledged, refused };
}

/** All that was sent is acknowledged, refused or waits. */
function expectSettled(
  counts: { readonly acknowledged: number; readonly refused: number },
  sent: number,
  lane: Lane,
): void {
  expect(counts.acknowledged + counts.refused + lane.waitingMessages).toBe(sent);
}

/** The broker comes back and confirms all until the lane has nothing more. */
async function drain(full: FullStore): Promise<void> {
  const { lane, publisher } = full;
  publisher.open();
  await eventually(
    () => {
      publisher.confirm();
      expect(full.acknowledged() + full.refused()).toBe(FLOOD);
      expect(lane.backlogMessages + lane.waitingMessages + publisher.inFlight.length).toBe(0);
    },
    { ...PATIENCE, everyMs: 2 },
  );
}

function different(publisher: FakePublisher): number {
  return new Set(publisher.published.map(({ seq }) => seq)).size;
}

test('block: a store that reached maxBytes holds PUBACKs back, and takes the messages when it has drained', async () => {
  const full = await floodedLane('block');
  expect(full.store.fullness).toBeGreaterThan(1);
  expect(full.acknowledged()).toBeGreaterThan(1_000);
  expect(full.lane.waitingMessages).toBe(FLOOD - full.acknowledged());
  expect(full.lane.waitingMessages).toBeGreaterThan(500);

  await drain(full);
  expect(full.acknowledged()).toBe(FLOOD);
  expect(different(full.publisher)).toBe(FLOOD);
  expect(full.gaps).toEqual([]);
  // That it is full is no fault of the disk, which goes on being written.
  expect(full.trouble).toEqual([]);
  await eventually(() => expect(full.store.fullness).toBeLessThan(0.9), PATIENCE);
});

test('reject: a store that reached maxBytes refuses, and takes messages again when it has drained', async () => {
  const full = await floodedLane('reject');
  expect(full.refused()).toBeGreaterThan(500);
  expect(full.lane.lastSeq).toBe(FLOOD - full.refused());
  await drain(full);
  expect(different(full.publisher)).toBe(FLOOD - full.refused());
});

test('drop-oldest: a store that reached maxBytes stays about as large, and what it gives up is named', async () => {
  const full = await floodedLane('drop-oldest');
  expect(full.acknowledged()).toBe(FLOOD);
  expect(full.gaps.length).toBeGreaterThan(500);
  // Not everything is given up for a disk that shrinks later than the log.
  expect(full.lane.backlogMessages).toBeGreaterThan(1_000);
  await eventually(
    () => expect(full.store.stats().sizeBytes).toBeLessThan(1.25 * MAX_BYTES),
    PATIENCE,
  );
  await drain(full);
  expect(different(full.publisher) + full.gaps.length).toBe(FLOOD);
  expect(full.trouble).toEqual([]);
});
