import { afterAll, beforeAll } from 'vitest';
import { LanePublisher } from '../../src/amqp/lane-publisher.ts';
import { operator, startConnection, uniqueTopology } from '../helpers/amqp-test-lane.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { describePublisher, type PublisherHarness } from './publisher-contract.ts';

let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
});

afterAll(() => node?.stop());

describePublisher('LanePublisher', async (): Promise<PublisherHarness> => {
  const topology = uniqueTopology({
    name: `full-${crypto.randomUUID()}`,
    type: 'classic',
    bindingKey: 'refused',
    arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' },
  });
  const { connection } = startConnection({ urls: [node.url] });
  const publisher = new LanePublisher({ lane: 'telemetry', connection, topology });
  return {
    publisher,
    letOpen: () => {},
    letAnswer: () => {},
    loseChannel: async () => {
      const channel = await operator(node.url);
      await channel.deleteExchange(topology.exchange.name);
      publisher.publish(laneMessage(0, 'routed'), () => {}); // 404 on the channel (basic.publish)
    },
  };
});
