import { expect, onTestFinished, test } from 'vitest';
import type { Gap } from '../../src/delivery/gap-manifest.ts';
import { GapManifest } from '../../src/delivery/gap-manifest.ts';
import { Lane } from '../../src/delivery/lane.ts';
import { NO_RECEIPT, promised } from '../../src/shared/receipt.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { append } from '../helpers/append.ts';
import { eventually } from '../helpers/eventually.ts';
import { FakePublisher } from '../helpers/fake-publisher.ts';
import { roomyLane } from '../helpers/lane-room.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const STORED = 20;
const WINDOW = 4;
const LANE = 'telemetry';
const GAPS = 'gaps';
const PATIENCE = { withinMs: 10_000 };
/** More than any disk has free. */
const NO_ROOM = Number.MAX_SAFE_INTEGER;

interface Opened {
  readonly store: LevelStore;
  readonly lane: Lane;
  readonly publisher: FakePublisher;
  readonly gaps: () => Promise<Gap[]>;
}

/** A store with a lane and a gap manifest in it, on a disk that has less than so much free. */
async function open(
  path: string,
  reserveBytes: number,
  room: Partial<ReturnType<typeof roomyLane>> = {},
): Promise<Opened> {
  const nothing = (): void => undefined;
  const store = new LevelStore(
    { path, maxBytes: 1024 ** 3, reserveBytes, ballastBytes: 0 },
    { onFinding: nothing, onTrouble: nothing, onRecovered: nothing },
  );
  await store.open();
  const named = await store.lane(GAPS, { freesRoom: true });
  let seq = 0;
  const manifest = new GapManifest(
    async (routingKey, event) => {
      seq += 1;
      const payload = Buffer.from(JSON.stringify(event));
      await append(named, {
        ...MESSAGE,
        gatewayId: 'g',
        epoch: store.epoch,
        seq,
        routingKey,
        payload,
      });
    },
    () => store.run,
  );
  const publisher = new FakePublisher();
  const lane = new Lane({
    name: LANE,
    gatewayId: 'g',
    epoch: store.epoch,
    run: store.run,
    elapsedMs: () => Math.round(performance.now()),
    config: {
      mode: 'disk-first',
      spillAfterMs: 250,
      directAfterMs: 1_000,
      window: { maxMessages: WINDOW, maxBytes: 1_000_000 },
      parkedRetryMs: 60_000,
    },
    onUnroutable: 'park',
    onReject: 'retry',
    confirmTimeoutMs: 30_000,
    parkedBefore: await store.parkedCount(LANE),
    ...roomyLane([]),
    gaps: manifest,
    ...room,
    storeFullness: () => store.fullness,
    log: await store.lane(LANE),
    publisher,
    onEvent: nothing,
  });
  lane.start();
  onTestFinished(async () => {
    await lane.stop(AbortSignal.abort());
    await store.close();
  });
  const gaps = async (): Promise<Gap[]> => {
    const { messages } = await named.read(0, 1_000);
    return messages.map(({ message }) => JSON.parse(message.payload.toString()) as Gap);
  };
  return { store, lane, publisher, gaps };
}

const MESSAGE = {
  topic: 'a/b',
  payload: Buffer.from('x'),
  qos: 1,
  dup: false,
  retain: false,
  clientId: 'c',
  receivedAtMs: 1,
} as const;

/** A store that holds so many messages, and whose disk has lost its reserve since. */
async function fullDisk(room: Partial<ReturnType<typeof roomyLane>> = {}): Promise<Opened> {
  const path = await tempDir();
  const before = await open(path, 0);
  for (let n = 0; n < STORED; n += 1)
    await promised((receipt) => before.lane.accept(MESSAGE, 'a.b', receipt));
  await before.lane.stop(AbortSignal.abort());
  await before.store.close();
  return open(path, NO_ROOM, room);
}

test('without the reserve of the disk the oldest can be parked, and all behind it leave the store', async () => {
  const { store, lane, publisher } = await fullDisk();
  publisher.open();
  await eventually(() => expect(publisher.inFlight).toHaveLength(WINDOW), PATIENCE);
  publisher.return();
  await eventually(() => {
    publisher.confirm();
    expect(lane.backlogMessages).toBe(0);
  }, PATIENCE);
  expect(lane.parkedMessages).toBe(1);
  expect((await store.lane(LANE)).lowWaterMark).toBe(STORED);
});

test('without the reserve parked messages can be discarded, and are named', async () => {
  const { lane, publisher, gaps } = await fullDisk();
  publisher.open();
  await eventually(() => expect(publisher.inFlight).toHaveLength(WINDOW), PATIENCE);
  publisher.return();
  await eventually(() => expect(lane.parkedMessages).toBe(1), PATIENCE);
  expect(await lane.discardParked(10)).toBe(1);
  expect(await gaps()).toMatchObject([{ lane: LANE, reason: 'discarded', fromSeq: 1 }]);
});

test('without the reserve the oldest are given up for what arrives, also with the link away', async () => {
  const { lane, gaps } = await fullDisk({ whenFull: 'drop-oldest' });
  await eventually(() => {
    lane.accept(MESSAGE, 'a.b', NO_RECEIPT); // waits for room, and is refused at the end
    expect(lane.counters.dropped['full']).toBeGreaterThan(0);
  }, PATIENCE);
  const [first] = await gaps();
  expect(first).toMatchObject({ lane: LANE, reason: 'full', epoch: 1, fromSeq: 1 });
});

test('without the reserve packet identifiers are removed', async () => {
  const { store } = await fullDisk();
  await store.packetIds.remove('c', [1]);
});
