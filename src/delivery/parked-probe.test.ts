import { describe, expect, test } from 'vitest';
import { numbered, refused } from '../../test/contract/lane-log-contract.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { LaneHarness } from '../../test/helpers/lane-harness.ts';
import { ParkedProbe } from './parked-probe.ts';

const RETRY_MS = 10_000;
const PATIENCE = { withinMs: 2_000 };

/** A lane that has parked `count` messages as unroutable. */
async function parked(
  count: number,
  room: NonNullable<ConstructorParameters<typeof LaneHarness>[0]>['room'] = {},
): Promise<LaneHarness> {
  const harness = new LaneHarness({ parkedRetryMs: RETRY_MS, room });
  harness.publisher.open();
  await harness.accept(count);
  for (let n = 0; n < count; n += 1) harness.publisher.return();
  await harness.durable();
  expect(harness.lane.parkedMessages).toBe(count);
  return harness;
}

describe('the oldest parked message is tried again from time to time', () => {
  test('alone; refused, it stays parked, with one attempt more', async () => {
    const harness = await parked(3);
    const published = harness.published.length;
    await harness.advance(RETRY_MS);
    expect(harness.published.slice(published)).toEqual([1]);
    expect(harness.lane.parkedMessages).toBe(2);
    await harness.advance(RETRY_MS); // no answer yet: nothing else is tried
    expect(harness.published.slice(published)).toEqual([1]);

    harness.publisher.return();
    await harness.durable();
    expect(harness.lane.parkedMessages).toBe(3);
    const note = harness.log.parkedNow.find(({ message }) => message.seq === 1)?.note;
    expect(note).toMatchObject({ reason: 'unroutable', attempts: 2 });
    await harness.advance(RETRY_MS);
    expect(harness.inFlight).toHaveLength(1);
  });

  test('confirmed, all others follow in order', async () => {
    const harness = await parked(4);
    const published = harness.published.length;
    await harness.advance(RETRY_MS);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.published.slice(published)).toEqual([1, 2, 3, 4]);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.lane.parkedMessages).toBe(0);
    expect(harness.lane.backlogMessages).toBe(0);
  });

  test('more than are released at once come too', async () => {
    const harness = await parked(100);
    await harness.accept(1_100);
    while (harness.inFlight.length > 0) {
      harness.publisher.return();
      await harness.durable();
    }
    const [published, waiting] = [harness.published.length, harness.lane.parkedMessages];
    expect(waiting).toBe(1_200);
    await harness.advance(RETRY_MS);
    while (harness.inFlight.length > 0) {
      harness.publisher.confirm();
      await harness.advance(0);
    }
    expect(harness.lane.parkedMessages).toBe(0);
    expect(harness.published.length - published).toBe(1_200);
  });

  test('also when the log moves fewer at once than were asked for', async () => {
    let parkedMessages = 5;
    const asked: number[] = [];
    const [oldest, note] = [numbered(1), refused('unroutable', 1)];
    const probe = new ParkedProbe({
      log: { parked: async () => [{ message: oldest, note }] },
      everyMs: RETRY_MS,
      isOpen: () => true,
      parkedMessages: () => parkedMessages,
      release: async (maxCount) => {
        asked.push(maxCount);
        const released = Math.min(2, maxCount, parkedMessages);
        parkedMessages -= released;
        return released;
      },
    });
    probe.probe();
    await eventually(() => expect(asked).toEqual([1]), PATIENCE);
    probe.answered(oldest, true);
    await eventually(() => expect(asked).toEqual([1, 4, 2]), PATIENCE);
  });

  test('not while the link is away', async () => {
    const harness = await parked(1);
    harness.publisher.close();
    await harness.advance(3 * RETRY_MS);
    expect(harness.lane.parkedMessages).toBe(1);
    harness.publisher.open();
    await harness.advance(RETRY_MS);
    expect(harness.inFlight).toEqual([1]);
  });

  test('a link that is lost before the answer brings the same one again, and its answer counts', async () => {
    const harness = await parked(2);
    await harness.advance(RETRY_MS);
    harness.publisher.close();
    await harness.advance(RETRY_MS);
    harness.publisher.open();
    await harness.advance(0);
    expect(harness.inFlight).toEqual([1]);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.inFlight).toEqual([2]);
  });

  test('only what is unroutable: refused messages wait for somebody to look at them', async () => {
    const harness = new LaneHarness({ parkedRetryMs: RETRY_MS, onReject: 'park' });
    harness.publisher.open();
    await harness.accept(1);
    harness.publisher.nack();
    await harness.durable();
    await harness.advance(3 * RETRY_MS);
    expect(harness.parked).toEqual(['1 rejected']);
  });

  test('one whose record is damaged on its way does not end the trying', async () => {
    const harness = await parked(2);
    await harness.advance(RETRY_MS);
    harness.publisher.close();
    harness.log.damage(0);
    harness.publisher.open();
    await harness.advance(0);
    expect(harness.gaps).toMatchObject([{ reason: 'damaged', count: 1 }]);
    await harness.advance(RETRY_MS);
    expect(harness.inFlight).toEqual([2]);
  });

  test('one that is given up on its way does not end the trying', async () => {
    const harness = await parked(2, { whenFull: 'drop-oldest', limits: { maxMessages: 1 } });
    await harness.advance(RETRY_MS);
    expect(harness.inFlight).toEqual([1]);
    harness.publisher.close(); // back in the log, the oldest of a lane that is full soon
    await harness.accept(2);
    await harness.durable();
    await harness.advance(0);
    expect(harness.gaps.map(({ fromSeq }) => fromSeq)).toContain(1);
    harness.publisher.open();
    await harness.advance(0);
    while (harness.inFlight.length > 0) {
      harness.publisher.confirm();
      await harness.advance(0);
    }
    await harness.advance(RETRY_MS);
    expect(harness.inFlight).toEqual([2]);
  });
});
