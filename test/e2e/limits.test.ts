import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { connectDevice, createLimitedSite, publishRange } from '../helpers/limited-site.ts';
import { LANE } from '../helpers/site.ts';

const LIMIT_MESSAGES = 50;
const FLOOD = 500;
const PATIENCE = { withinMs: 60_000 };

const numbers = (payloads: readonly string[]): number[] => payloads.map(Number);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** A gateway without uplink, whose lane holds 50 messages. */
async function cutOff(whenFull: string): ReturnType<typeof createLimitedSite> {
  const limited = await createLimitedSite({
    mapping: { limits: { maxMessages: LIMIT_MESSAGES }, whenFull },
  });
  await limited.site.proxy.cut();
  await limited.site.start();
  return limited;
}

test('drop-oldest: devices are acknowledged, the newest arrive, each of the others is named once', async () => {
  const limited = await cutOff('drop-oldest');
  const { site, account, payloads } = limited;
  const acknowledged = await publishRange(await connectDevice(site), 1, FLOOD);
  expect(acknowledged).toHaveLength(FLOOD);
  const dropped = FLOOD - LIMIT_MESSAGES;
  await eventually(async () => {
    const values = await site.metrics();
    const total = values.get(`tidegate_lane_dropped_total{lane="${LANE}",reason="full"}`);
    expect(total).toBe(dropped);
  }, PATIENCE);

  await site.proxy.restore();
  limited.consume();
  await eventually(() => expect(account.missing(1, FLOOD)).toEqual([]), PATIENCE);
  expect(account.namedCount(1)).toBe(dropped);
  expect(account.both(1)).toEqual([]);
  expect(account.namedTwice(1)).toEqual([]);
  expect(numbers(payloads)).toEqual(range(dropped + 1, FLOOD));
});

test('drop-newest: the oldest arrive, the others are named in few events', async () => {
  const limited = await cutOff('drop-newest');
  const { site, account, payloads } = limited;
  expect(await publishRange(await connectDevice(site), 1, FLOOD)).toHaveLength(FLOOD);
  await site.proxy.restore();
  limited.consume();
  await eventually(() => expect(account.missing(1, FLOOD)).toEqual([]), PATIENCE);
  expect(account.both(1)).toEqual([]);
  expect(account.namedTwice(1)).toEqual([]);
  expect(numbers(payloads)).toEqual(range(1, LIMIT_MESSAGES));
  const events = account.events.filter(({ event }) => event === 'gap');
  expect(events.length).toBeLessThan((FLOOD - LIMIT_MESSAGES) / 2);
  for (const event of events) expect(event).toMatchObject({ lane: LANE, reason: 'full' });
});

test('block: PUBACKs are held back while the lane is full, and nothing is given up', async () => {
  const limited = await cutOff('block');
  const { site, account, payloads } = limited;
  const publishing = publishRange(await connectDevice(site), 1, FLOOD);
  await eventually(async () => {
    const answer = await fetch(`http://127.0.0.1:${site.adminPort}/readyz`);
    expect(answer.status).toBe(503);
    expect(await site.laneMetric('backlog_messages')).toBe(LIMIT_MESSAGES);
  }, PATIENCE);
  await site.proxy.restore();
  limited.consume();
  expect(await publishing).toEqual(range(1, FLOOD));
  await eventually(() => expect(account.missing(1, FLOOD)).toEqual([]), PATIENCE);
  expect(account.namedCount(1)).toBe(0);
  expect(numbers(payloads)).toEqual(range(1, FLOOD));
});

test('reject: the connection is closed, and no seq is used up for what was refused', async () => {
  const limited = await cutOff('reject');
  const { site, account, payloads } = limited;
  const acknowledged = await publishRange(await connectDevice(site), 1, FLOOD);
  expect(acknowledged).toEqual(range(1, LIMIT_MESSAGES));
  await site.proxy.restore();
  limited.consume();
  await eventually(() => expect(payloads).toHaveLength(LIMIT_MESSAGES), PATIENCE);
  await site.drained();
  const more = await publishRange(await connectDevice(site), FLOOD + 1, FLOOD + 10);
  expect(more).toHaveLength(10);
  await eventually(() => expect(payloads).toHaveLength(LIMIT_MESSAGES + 10), PATIENCE);
  expect(account.lastSeq(1)).toBe(LIMIT_MESSAGES + 10);
  expect(account.missing(1)).toEqual([]);
  expect(account.events.filter(({ event }) => event === 'gap')).toEqual([]);
});
