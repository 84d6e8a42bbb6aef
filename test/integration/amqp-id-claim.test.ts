import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { AmqpConnection } from '../../src/amqp/connection.ts';
import { IdClaim } from '../../src/amqp/id-claim.ts';
import { startAmqpHold } from '../helpers/amqp-hold.ts';
import { operator, startConnection, startLane } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';

const PATIENCE = { withinMs: 30_000 };
const QUEUE_DECLARE = '50.10';
const TAKEN_AFTER_MS = 300;

interface Claimed {
  readonly claim: IdClaim;
  readonly told: string[];
}

/** A claim with short times, started. */
function claimId(gatewayId: string, connection: AmqpConnection): Claimed {
  const told: string[] = [];
  const claim = new IdClaim({
    gatewayId,
    connection,
    heartbeatMs: 10_000,
    retryMs: 50,
    takenAfterMs: TAKEN_AFTER_MS,
    listener: {
      taken: () => told.push('taken'),
      over: () => told.push('over'),
      unable: (reason) => told.push(reason),
    },
  });
  onTestFinished(() => claim.stop());
  claim.start();
  return { claim, told };
}

/** Resolves when the queue of the claim is there. */
async function claimed(gatewayId: string, url: string): Promise<void> {
  await eventually(async () => {
    const channel = await operator(url);
    // Exclusive to another connection: 405, where a queue that is not there is 404.
    await expect(channel.checkQueue(`tidegate.gateway.${gatewayId}`)).rejects.toThrow(/405/);
  }, PATIENCE);
}

test('the second gateway with an id says so as long as the first is there, and its lanes flow', async () => {
  const id = randomUUID();
  const [first, second, other] = ['', '', ''].map(
    () => startConnection({ urls: [sharedAmqpUrl()] }).connection,
  );
  if (first === undefined || second === undefined || other === undefined) throw new Error();
  const one = claimId(id, first);
  await claimed(id, sharedAmqpUrl());
  const two = claimId(id, second);
  const three = claimId(randomUUID(), other);
  const lane = startLane(second);
  await eventually(() => expect(two.told).toEqual(['taken']), PATIENCE);
  expect(two.claim.isTaken).toBe(true);
  await lane.recorder.told('open');
  lane.recorder.publish(lane.publisher, laneMessage(1, 'routed'));
  expect(await lane.recorder.answered(1)).toEqual({ kind: 'confirmed' });

  await one.claim.stop();
  await first.stop();
  await eventually(() => expect(two.told).toEqual(['taken', 'over']), PATIENCE);
  expect(two.claim.isTaken).toBe(false);
  expect(lane.recorder.events).toEqual(['open']);
  expect(second.state().reconnects).toBe(0);
  expect([one.told, three.told]).toEqual([[], []]);
});

test('a connection of its own that the broker has not given up yet is no other gateway', async () => {
  const id = randomUUID();
  const ghost = await operator(sharedAmqpUrl());
  await ghost.assertQueue(`tidegate.gateway.${id}`, { exclusive: true, durable: false });
  const { connection } = startConnection({ urls: [sharedAmqpUrl()] });
  const { told, claim } = claimId(id, connection);
  await eventually(() => expect(connection.state().connected).toBe(true), PATIENCE);
  await ghost.deleteQueue(`tidegate.gateway.${id}`);
  await claimed(id, sharedAmqpUrl());
  expect(told).toEqual([]);
  expect(claim.isTaken).toBe(false);
});

test('a broker that leaves the claim without an answer holds up no lane', async () => {
  const id = randomUUID();
  const hold = await startAmqpHold(sharedAmqpUrl());
  hold.holds = (method) => method.id === QUEUE_DECLARE && method.frame.includes(id);
  const { connection } = startConnection({ urls: [hold.url] });
  const { told, claim } = claimId(id, connection);
  await eventually(() => expect(hold.heldChannels).toBe(1), PATIENCE);
  const lane = startLane(connection);
  await lane.recorder.told('open');
  lane.recorder.publish(lane.publisher, laneMessage(1, 'routed'));
  expect(await lane.recorder.answered(1)).toEqual({ kind: 'confirmed' });
  await claim.stop();
  expect(told).toEqual([]);
  expect(lane.recorder.events).toEqual(['open']);
});

test('a user who may not declare the queue is told so once, and its lanes flow', async () => {
  const node: RabbitNode = await startRabbitNode();
  onTestFinished(() => node.stop());
  await node.ctl('add_user', 'writer', 'secret');
  await node.ctl('set_permissions', 'writer', '^test-', '.*', '.*');
  const url = node.url.replace('guest:guest', 'writer:secret');
  const { connection } = startConnection({ urls: [url] });
  const { told } = claimId('site-a', connection);
  const lane = startLane(connection);
  await lane.recorder.told('open');
  await eventually(() => expect(told).toHaveLength(1), PATIENCE);
  expect(told[0]).toMatch(/403.*ACCESS_REFUSED/);
  connection.recycle('a new connection, on which it is refused again');
  await lane.recorder.told('open', 'closed', 'open');
  lane.recorder.publish(lane.publisher, laneMessage(1, 'routed'));
  expect(await lane.recorder.answered(1)).toEqual({ kind: 'confirmed' });
  expect(told).toHaveLength(1);
});
