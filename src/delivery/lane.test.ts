import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakePublisher } from '../../test/helpers/fake-publisher.ts';
import { roomyLane } from '../../test/helpers/lane-room.ts';
import { MemoryLaneLog } from '../../test/helpers/memory-store.ts';
import type { DeviceMessage } from '../shared/message.ts';
import { promised } from '../shared/receipt.ts';
import { Lane } from './lane.ts';
import type { LaneParts } from './lane-parts.ts';

const SPILL_AFTER_MS = 250;
const DIRECT_AFTER_MS = 1_000;
const CONFIRM_TIMEOUT_MS = 5_000;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

function create(mode: 'adaptive' | 'disk-first' = 'adaptive', parts: Partial<LaneParts> = {}) {
  const log = new MemoryLaneLog({ manual: true });
  const publisher = new FakePublisher();
  const lane = new Lane({
    name: 'lane',
    gatewayId: 'gateway',
    epoch: 7,
    run: 'aaaaaaaaaaaaaaaa',
    elapsedMs: () => Math.round(performance.now()),
    config: {
      mode,
      spillAfterMs: SPILL_AFTER_MS,
      directAfterMs: DIRECT_AFTER_MS,
      window: { maxMessages: 3, maxBytes: 1_000_000 },
      parkedRetryMs: 1_000_000,
    },
    onUnroutable: 'park',
    onReject: 'retry',
    confirmTimeoutMs: CONFIRM_TIMEOUT_MS,
    parkedBefore: 0,
    ...roomyLane(),
    log,
    publisher,
    onEvent: () => undefined,
    ...parts,
  });
  lane.start();
  const safe: string[] = [];
  const accept = (name: string): void => {
    promised((receipt) => lane.accept(message(name), 'key', receipt)).then(
      () => safe.push(name),
      () => undefined,
    );
  };
  const published = (): string[] => publisher.published.map((one) => one.payload.toString());
  return { lane, log, publisher, safe, accept, published };
}

function message(name: string): DeviceMessage {
  const payload = Buffer.from(name);
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { topic: 't', payload, ...rest };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test('on a good link a message is safe by its confirm, and nothing is written', async () => {
  const { lane, log, publisher, safe, accept } = create();
  publisher.open();
  accept('a');
  accept('b');
  await pass(0);
  expect([lane.state, safe]).toEqual(['direct', []]);
  publisher.confirm();
  await pass(SPILL_AFTER_MS * 2);
  expect([safe, log.appendsTotal]).toEqual([['a', 'b'], 0]);
});

test('a confirm that is late makes everything in flight durable, in order, and is not published again', async () => {
  const { lane, log, publisher, safe, accept, published } = create();
  publisher.open();
  accept('a');
  accept('b');
  await pass(SPILL_AFTER_MS);
  expect([lane.state, log.appendsTotal, safe]).toEqual(['spilling', 2, []]);
  log.flush();
  await pass(0);
  expect([safe, lane.backlogMessages]).toEqual([['a', 'b'], 2]);
  publisher.confirm();
  await pass(10_000);
  expect([published(), lane.backlogMessages]).toEqual([['a', 'b'], 0]);
});

test('a lost link makes what was in flight durable; it goes out again with the same identity', async () => {
  const { log, publisher, safe, accept, published } = create();
  publisher.open();
  accept('a');
  accept('b');
  publisher.close({ scope: 'connection', text: 'gone' });
  accept('c');
  log.flush();
  await pass(0);
  expect(safe).toEqual(['a', 'b', 'c']);
  publisher.open();
  await pass(0);
  expect(published()).toEqual(['a', 'b', 'a', 'b', 'c']);
  const identities = publisher.published.map(({ epoch, seq }) => `${epoch}.${seq}`);
  expect(identities).toEqual(['7.1', '7.2', '7.1', '7.2', '7.3']);
});

test('beyond the window messages are stored, and none overtakes', async () => {
  const { log, publisher, safe, accept, published } = create();
  publisher.open();
  for (const name of ['a', 'b', 'c', 'd', 'e']) accept(name);
  log.flush();
  await pass(0);
  expect([safe, published()]).toEqual([
    ['a', 'b', 'c', 'd', 'e'],
    ['a', 'b', 'c'],
  ]);
  publisher.confirm();
  await pass(0);
  expect(published()).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('write-free again only after confirms have been quick for directAfterMs', async () => {
  const { lane, log, publisher, accept } = create();
  publisher.open();
  accept('a');
  await pass(SPILL_AFTER_MS);
  log.flush();
  publisher.confirm();
  await pass(DIRECT_AFTER_MS - 10);
  accept('b');
  log.flush();
  await pass(0);
  publisher.confirm();
  expect([lane.state, log.appendsTotal]).toEqual(['spilling', 2]);
  await pass(20);
  accept('c');
  expect([lane.state, log.appendsTotal]).toEqual(['direct', 2]);
});

test('disk-first publishes only what is durable', async () => {
  const { log, publisher, safe, accept, published } = create('disk-first');
  publisher.open();
  accept('a');
  await pass(0);
  expect([published(), safe]).toEqual([[], []]);
  log.flush();
  await pass(0);
  expect([published(), safe]).toEqual([['a'], ['a']]);
});

test('a blocked broker gets nothing; devices are acknowledged from the store', async () => {
  const { lane, log, publisher, safe, accept, published } = create();
  publisher.open();
  publisher.block('memory');
  accept('a');
  log.flush();
  await pass(0);
  expect([safe, published(), lane.state]).toEqual([['a'], [], 'stalled']);
  publisher.unblock();
  await pass(0);
  expect(published()).toEqual(['a']);
});

test('a nacked message is tried again after a pause, when all other answers are in', async () => {
  const { lane, log, publisher, safe, accept, published } = create();
  publisher.open();
  accept('a');
  accept('b');
  publisher.nack(0);
  log.flush();
  await pass(1_000);
  expect([published(), safe, lane.state]).toEqual([['a', 'b'], ['a', 'b'], 'stalled']);
  publisher.confirm();
  await pass(1_000);
  expect(published()).toEqual(['a', 'b', 'a']);
  publisher.confirm();
  await pass(0);
  expect([lane.backlogMessages, lane.counters.nacked]).toEqual([0, 1]);
});

test('an unroutable message is parked and the lane flows on', async () => {
  const { lane, log, publisher, safe, accept } = create();
  publisher.open();
  accept('a');
  accept('b');
  publisher.return(0);
  publisher.confirm();
  log.flush();
  await pass(0);
  expect(log.parkedNow.map((one) => one.note.reason)).toEqual(['unroutable']);
  expect([safe.toSorted(), lane.parkedMessages]).toEqual([['a', 'b'], 1]);
});

test('a message that makes the broker close the channel three times when alone is parked', async () => {
  const { log, publisher, accept, published } = create('disk-first');
  publisher.open();
  for (const name of ['bad', 'good']) accept(name);
  log.flush();
  await pass(0);
  for (let attempt = 0; attempt < 4; attempt += 1) {
    publisher.close({ scope: 'channel', replyCode: 406, text: 'PRECONDITION_FAILED' });
    publisher.open();
    await pass(0);
  }
  log.flush();
  const parked = log.parkedNow.map(({ message: one, note }) => [
    one.payload.toString(),
    note.reason,
  ]);
  expect(parked).toEqual([['bad', 'rejected']]);
  publisher.confirm();
  await pass(0);
  expect(published().at(-1)).toBe('good');
});

test('without any confirm the channel is given up, then the connection', async () => {
  const { log, publisher, accept } = create();
  publisher.open();
  accept('a');
  await pass(CONFIRM_TIMEOUT_MS + 500);
  expect(publisher.recycled.map(({ scope }) => scope)).toEqual(['channel']);
  log.flush();
  publisher.open();
  await pass(CONFIRM_TIMEOUT_MS + 500);
  expect(publisher.recycled.map(({ scope }) => scope)).toEqual(['channel', 'connection']);
});

test('a stop makes safe what only a confirm would have made safe', async () => {
  const { lane, log, publisher, safe, accept } = create();
  publisher.open();
  accept('a');
  const stopped = lane.stop(AbortSignal.timeout(10_000));
  log.flush();
  await pass(10);
  publisher.confirm();
  await pass(100);
  await stopped;
  expect(safe).toEqual(['a']);
  await expect(
    promised((receipt) => lane.accept(message('b'), 'key', receipt)),
  ).rejects.toMatchObject({ code: 'LANE_CLOSED' });
});
