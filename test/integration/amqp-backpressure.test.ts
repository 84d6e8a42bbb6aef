import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { operator, startConnection, startLane } from '../helpers/amqp-test-lane.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';

const BODY_BYTES = 50_000;
const COUNT = 400; // 20 MB: more than the socket buffers of both ends take
const SLOW_BYTES_PER_SECOND = 500_000;

let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
});

afterAll(() => node?.stop());

test('a lane opens again although a slow uplink still holds what its lost channel had to send', async () => {
  const uplink = await startTcpProxy({ targetPort: node.port });
  onTestFinished(() => uplink.close());
  const { connection } = startConnection({ urls: [`amqp://127.0.0.1:${uplink.port}`] });
  const broken = startLane(connection);
  await broken.recorder.told('open');
  const healthy = startLane(connection);
  await healthy.recorder.told('open');
  await (await operator(node.url)).deleteExchange(broken.exchange);

  uplink.throttle(SLOW_BYTES_PER_SECOND);
  const payload = Buffer.alloc(BODY_BYTES);
  for (let seq = 1; seq <= COUNT; seq++) {
    broken.recorder.publish(broken.publisher, laneMessage(seq, 'routed', { payload }));
  }
  await broken.recorder.told('open', 'closed'); // 404 for the first, the others are still here
  const late = startLane(connection); // would take the number of the lost channel
  uplink.throttle(undefined);

  await broken.recorder.told('open', 'closed', 'open');
  await late.recorder.told('open');
  expect(healthy.recorder.events).toEqual(['open']);
  broken.recorder.publish(broken.publisher, laneMessage(COUNT + 1, 'routed'));
  expect(await broken.recorder.answered(COUNT + 1)).toEqual({ kind: 'confirmed' });
  expect(broken.recorder.outcomes.size).toBe(1);
});
