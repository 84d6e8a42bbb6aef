import { expect, test } from 'vitest';
import {
  DIRECT_AFTER_MS,
  LaneHarness,
  type LaneHarnessOptions,
} from '../../test/helpers/lane-harness.ts';

/** A lane that has published message 1, whose answer a lost link has taken. */
async function cutOff(options: LaneHarnessOptions = {}): Promise<LaneHarness> {
  const harness = new LaneHarness(options);
  harness.publisher.open();
  await harness.accept();
  harness.publisher.close({ scope: 'connection', text: 'cut' });
  return harness;
}

/** What the gap manifest was told: the seq, and whether it may have arrived. */
function named(harness: LaneHarness): string[] {
  return harness.gaps.map(({ fromSeq, uncertain }) => `${fromSeq}${uncertain ? ' uncertain' : ''}`);
}

test('a message whose answer was lost is uncertain when it is given up, one that was never published is not', async () => {
  const limits = { maxMessages: 2 };
  const harness = await cutOff({ room: { whenFull: 'drop-oldest', limits } });
  await harness.accept(3);
  await harness.durable();
  expect(named(harness)).toEqual(['1 uncertain', '2']);
});

test('one whose answer was lost before it was stored is uncertain when its second publish is refused', async () => {
  const harness = await cutOff({ onUnroutable: 'drop' });
  harness.publisher.open();
  await harness.advance(DIRECT_AFTER_MS);
  await harness.accept();
  expect(harness.inFlight).toEqual([1, 2]);
  harness.publisher.return();
  harness.publisher.return();
  await harness.durable();
  expect(named(harness)).toEqual(['1 uncertain', '2']);
});

test('a message that was parked as uncertain stays so when it is released and given up', async () => {
  const limits = { maxMessages: 1 };
  const harness = await cutOff({ room: { whenFull: 'drop-oldest', limits } });
  await harness.durable();
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.return();
  await harness.durable();
  expect(harness.log.parkedNow).toMatchObject([{ note: { uncertain: true } }]);
  await harness.lane.releaseParked(1);
  harness.publisher.close();
  await harness.accept();
  await harness.durable();
  expect(named(harness)).toEqual(['1 uncertain']);
});

test('discarded from among the parked, only what was published before without an answer is uncertain', async () => {
  const harness = await cutOff();
  await harness.durable();
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.return(); // 1
  await harness.durable();
  await harness.accept();
  await harness.durable();
  harness.publisher.return(); // 2, which has no other attempt behind it
  await harness.durable();
  expect(harness.parked).toEqual(['1 unroutable', '2 unroutable']);
  const discarded = harness.lane.discardParked(2);
  await harness.durable();
  await discarded;
  expect(named(harness)).toEqual(['1 uncertain', '2']);
});

test('what an earlier run left may have been published by it', async () => {
  const harness = await cutOff();
  await harness.durable();
  const limits = { maxMessages: 1 };
  const next = new LaneHarness({
    log: harness.log.killed(),
    epoch: 2,
    room: { whenFull: 'drop-oldest', limits },
  });
  await next.accept(2);
  await next.durable();
  expect(named(next)).toEqual(['1 uncertain', '1']);
});

test('a message that was only ever refused is not uncertain however often it was parked', async () => {
  const harness = new LaneHarness();
  harness.publisher.open();
  await harness.accept();
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    harness.publisher.return();
    await harness.durable();
    expect(harness.log.parkedNow[0]?.note.uncertain).toBeUndefined();
    await harness.lane.releaseParked(1);
    await harness.advance(0);
  }
  harness.publisher.return();
  await harness.durable();
  const discarded = harness.lane.discardParked(1);
  await harness.durable();
  await discarded;
  expect(named(harness)).toEqual(['1']);
});
