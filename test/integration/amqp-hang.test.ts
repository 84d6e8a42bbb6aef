import { expect, onTestFinished, test } from 'vitest';
import type { AmqpConnection } from '../../src/amqp/connection.ts';
import { LanePublisher } from '../../src/amqp/lane-publisher.ts';
import type { GatewayError } from '../../src/shared/errors.ts';
import { type SentMethod, startAmqpHold } from '../helpers/amqp-hold.ts';
import { operator, startConnection, startLane, uniqueTopology } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { laneMessage, PublisherRecorder } from '../helpers/publisher-recorder.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';

const PATIENCE = { withinMs: 30_000 };
const QUEUE_DECLARE = '50.10';
const CHANNEL_OPEN = '20.10';
const CONFIRM_SELECT = '85.10';

interface ImpatientLane {
  readonly queue: string;
  readonly publisher: LanePublisher;
  readonly recorder: PublisherRecorder;
  readonly troubles: GatewayError[];
}

/** A lane that waits for an answer only so long, not started yet. */
function impatientLane(connection: AmqpConnection, answerLimitMs: number): ImpatientLane {
  const topology = uniqueTopology();
  const troubles: GatewayError[] = [];
  const publisher = new LanePublisher({
    lane: 'impatient',
    connection,
    topology,
    answerLimitMs,
    reconnect: { minMs: 20, maxMs: 100 },
    onTrouble: (error) => troubles.push(error),
  });
  onTestFinished(() => publisher.stop());
  return {
    queue: topology.queues[0]?.name ?? '',
    publisher,
    recorder: new PublisherRecorder(),
    troubles,
  };
}

/** Picks a method whose frame has this name in it. */
const isFor =
  (id: string, name: string) =>
  (method: SentMethod): boolean =>
    method.id === id && method.frame.includes(name);

test('a queue.declare that hangs is told and tried again, and costs the other lanes nothing', async () => {
  const hold = await startAmqpHold(sharedAmqpUrl());
  const { connection } = startConnection({ urls: [hold.url] });
  const healthy = startLane(connection);
  await healthy.recorder.told('open');
  const lane = impatientLane(connection, 1_000);
  hold.holds = isFor(QUEUE_DECLARE, lane.queue);

  lane.publisher.start(lane.recorder);
  await eventually(() => expect(lane.troubles.length).toBeGreaterThan(2), PATIENCE);
  expect(lane.troubles[0]).toMatchObject({
    code: 'AMQP_UNREACHABLE',
    message: `lane impatient: queue "${lane.queue}": no answer from the broker within 1000 ms`,
  });
  expect(hold.heldChannels).toBeGreaterThan(2);
  expect(lane.recorder.events).toEqual([]);
  healthy.recorder.publish(healthy.publisher, laneMessage(1, 'routed'));
  expect(await healthy.recorder.answered(1)).toEqual({ kind: 'confirmed' });

  hold.release(); // the answers come, to channels that were given up
  await lane.recorder.told('open');
  lane.recorder.publish(lane.publisher, laneMessage(1, 'routed'));
  expect(await lane.recorder.answered(1)).toEqual({ kind: 'confirmed' });
  healthy.recorder.publish(healthy.publisher, laneMessage(2, 'routed'));
  expect(await healthy.recorder.answered(2)).toEqual({ kind: 'confirmed' });
  expect(healthy.recorder.events).toEqual(['open']);
  expect(connection.state().reconnects).toBe(0);
});

test('a declaration that is refused long after it was given up costs the other lanes nothing', async () => {
  const hold = await startAmqpHold(sharedAmqpUrl());
  const { connection } = startConnection({ urls: [hold.url] });
  const healthy = startLane(connection);
  await healthy.recorder.told('open');
  const lane = impatientLane(connection, 1_000);
  hold.holds = isFor(QUEUE_DECLARE, lane.queue);
  lane.publisher.start(lane.recorder);
  await eventually(() => expect(hold.heldChannels).toBeGreaterThan(2), PATIENCE);

  const channel = await operator(sharedAmqpUrl());
  await channel.assertQueue(lane.queue, { arguments: { 'x-queue-type': 'quorum' } });
  hold.release(); // 406 for each of them
  await eventually(
    () => expect(lane.troubles.at(-1)?.message).toMatch(/refused: x-queue-type is/),
    PATIENCE,
  );
  for (let seq = 1; seq <= 20; seq += 1) {
    healthy.recorder.publish(healthy.publisher, laneMessage(seq, 'routed'));
    expect(await healthy.recorder.answered(seq)).toEqual({ kind: 'confirmed' });
  }
  expect(healthy.recorder.events).toEqual(['open']);
  expect(connection.state().reconnects).toBe(0);
});

test.each([
  ['channel.open', CHANNEL_OPEN],
  ['confirm.select', CONFIRM_SELECT],
])('a connection that answers no %s is left for the next URL', async (_name, id) => {
  const hold = await startAmqpHold(sharedAmqpUrl());
  hold.holds = (method) => method.id === id;
  const { connection, troubles } = startConnection({ urls: [hold.url, sharedAmqpUrl()] });
  const lane = impatientLane(connection, 1_000);
  lane.publisher.start(lane.recorder);
  await lane.recorder.told('open');
  expect(lane.troubles[0]?.message).toBe(
    'lane impatient: channel.open: no answer from the broker within 1000 ms',
  );
  expect(troubles[0]?.message).toContain('connection lost: channel.open: no answer');
  expect(connection.state().reconnects).toBe(1);
});

test('a connection on which other lanes get their confirms is kept, though it opens no more channels', async () => {
  const hold = await startAmqpHold(sharedAmqpUrl());
  const { connection } = startConnection({ urls: [hold.url] });
  const healthy = startLane(connection);
  await healthy.recorder.told('open');
  hold.holds = ({ id }) => id === CHANNEL_OPEN;
  const lane = impatientLane(connection, 2_000);
  lane.publisher.start(lane.recorder);
  for (let seq = 1; lane.troubles.length < 2; seq += 1) {
    healthy.recorder.publish(healthy.publisher, laneMessage(seq, 'routed'));
    expect(await healthy.recorder.answered(seq)).toEqual({ kind: 'confirmed' });
  }
  expect(healthy.recorder.events).toEqual(['open']);
  expect(connection.state().reconnects).toBe(0);
});

test('before the given-up channels use up the connection it is made anew', async () => {
  const hold = await startAmqpHold(sharedAmqpUrl());
  hold.holds = (method) => method.id === QUEUE_DECLARE;
  const { connection, troubles } = startConnection({ urls: [hold.url] });
  for (let count = 0; count < 8; count += 1) {
    const lane = impatientLane(connection, 1_000);
    lane.publisher.start(lane.recorder);
  }
  await eventually(() => expect(hold.accepted).toBeGreaterThan(1), PATIENCE);
  expect(troubles[0]?.message).toContain('connection lost: 64 channels without an answer');
  hold.release();
});

test.each([
  ['channel.open', CHANNEL_OPEN],
  ['queue.declare', QUEUE_DECLARE],
  ['confirm.select', CONFIRM_SELECT],
])(
  'a link that is lost before the answer to %s is not waited for: the lane opens on the next',
  async (_name, id) => {
    const hold = await startAmqpHold(sharedAmqpUrl());
    hold.holds = (method) => method.id === id;
    const { connection } = startConnection({ urls: [hold.url] });
    const lane = impatientLane(connection, 600_000);
    lane.publisher.start(lane.recorder);
    await eventually(() => expect(hold.heldChannels).toBe(1), PATIENCE);
    hold.cut();
    await lane.recorder.told('open');
    lane.recorder.publish(lane.publisher, laneMessage(1, 'routed'));
    expect(await lane.recorder.answered(1)).toEqual({ kind: 'confirmed' });
  },
);
