import { randomUUID } from 'node:crypto';
import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { expect, onTestFinished } from 'vitest';
import { AmqpConnection, type AmqpConnectionOptions } from '../../src/amqp/connection.ts';
import { LanePublisher } from '../../src/amqp/lane-publisher.ts';
import type { QueueSpec, Topology } from '../../src/amqp/topology.ts';
import type { GatewayError } from '../../src/shared/errors.ts';
import { PublisherRecorder } from './publisher-recorder.ts';

/** Reconnects fast enough for tests. */
const RECONNECT = { minMs: 20, maxMs: 300 };

/** A started connection with all that it complained about; stopped when the test ends. */
export interface TestConnection {
  readonly connection: AmqpConnection;
  readonly troubles: GatewayError[];
}

export function startConnection(options: AmqpConnectionOptions): TestConnection {
  const troubles: GatewayError[] = [];
  const connection = new AmqpConnection({
    reconnect: RECONNECT,
    ...options,
    onTrouble: (error) => troubles.push(error),
  });
  onTestFinished(() => connection.stop());
  connection.start();
  return { connection, troubles };
}

/** A lane with names of its own. */
export interface TestLane {
  readonly publisher: LanePublisher;
  readonly recorder: PublisherRecorder;
  readonly exchange: string;
  /** The queue bound with `routed`. */
  readonly queue: string;
  readonly troubles: GatewayError[];
}

/** A topic exchange and a queue bound with the key `routed`, with names that no other test has. */
export function uniqueTopology(...more: QueueSpec[]): Topology {
  const name = `test-${randomUUID()}`;
  const queue: QueueSpec = { name, type: 'classic', bindingKey: 'routed' };
  return { exchange: { name, type: 'topic', declare: true }, queues: [queue, ...more] };
}

/** Starts a publisher that writes down all it is told; stopped when the test ends. */
export function startLane(
  connection: AmqpConnection,
  topology: Topology = uniqueTopology(),
): TestLane {
  const troubles: GatewayError[] = [];
  const recorder = new PublisherRecorder();
  const publisher = new LanePublisher({
    lane: 'telemetry',
    connection,
    topology,
    reconnect: RECONNECT,
    onTrouble: (error) => troubles.push(error),
  });
  onTestFinished(() => publisher.stop());
  publisher.start(recorder);
  const queue = topology.queues[0]?.name ?? '';
  return { publisher, recorder, exchange: topology.exchange.name, queue, troubles };
}

/** A connection and channel of the test's own, as an operator or a consumer would have; closed at its end. */
export async function operator(url: string): Promise<ConfirmChannel> {
  const model: ChannelModel = await connect(url);
  model.on('error', () => {});
  onTestFinished(() => model.close().catch(() => {}));
  const channel = await model.createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}

/** Takes the next message from a queue that has one. */
export async function take(channel: ConfirmChannel, queue: string): Promise<GetMessage> {
  const message = await channel.get(queue, { noAck: true });
  expect(message, `a message in ${queue}`).not.toBe(false);
  if (message === false) throw new Error('unreachable');
  return message;
}
