import type { Channel, ChannelModel } from 'amqplib';
import { errorText, GatewayError } from '../shared/errors.ts';
import { noteClosedByBroker, numbersReusable } from './channel-drain.ts';
import { replyCodeOf } from './reply-code.ts';

interface ExchangeSpec {
  /** Empty for the default exchange, which is always there and takes no bindings. */
  readonly name: string;
  readonly type: 'topic' | 'direct' | 'fanout' | 'headers';
  /** False: exchange and queues belong to somebody else and are only looked for. */
  readonly declare: boolean;
}

export interface QueueSpec {
  readonly name: string;
  /** Only quorum queues are on disk before the confirm (RabbitMQ docs/confirms). */
  readonly type: 'quorum' | 'classic' | 'stream';
  readonly bindingKey: string;
  /** Further queue.declare arguments, such as `x-max-length`. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** What one lane needs at the broker. All of it is durable. */
export interface Topology {
  readonly exchange: ExchangeSpec;
  readonly queues: readonly QueueSpec[];
}

/** One thing to ask of the broker, with its name for the error. */
interface Step {
  readonly what: string;
  run(channel: Channel): Promise<unknown>;
}

/**
 * Makes sure that the lane's exchange and queues are there: declares and binds them, or looks for them when
 * they are not ours to declare (bindings cannot be looked for). Uses channels of its own, because a
 * refusal closes the channel (AMQP 0-9-1 channel.close).
 * @throws {GatewayError} AMQP_TOPOLOGY_REFUSED with everything that is missing or refused, in the broker's words.
 */
export async function ensureTopology(model: ChannelModel, topology: Topology): Promise<void> {
  const refusals: string[] = [];
  let steps = topology.exchange.declare ? declarations(topology) : checks(topology);
  while (steps.length > 0) {
    const refusal = await runSteps(model, steps);
    if (refusal === undefined) break;
    refusals.push(refusal.text);
    // A declaration may need the ones before it, checks do not: go on behind the refused one.
    steps = topology.exchange.declare ? [] : steps.slice(refusal.index + 1);
  }
  if (refusals.length > 0) throw new GatewayError('AMQP_TOPOLOGY_REFUSED', refusals.join('; '));
}

/** Runs the steps on one channel, up to the first refusal. Faults that are no refusals are thrown. */
async function runSteps(
  model: ChannelModel,
  steps: readonly Step[],
): Promise<{ index: number; text: string } | undefined> {
  await numbersReusable(model);
  const channel = await model.createChannel();
  channel.on('error', () => noteClosedByBroker(model, channel)); // the same error rejects the step
  for (const [index, step] of steps.entries()) {
    try {
      await step.run(channel);
    } catch (error) {
      if (replyCodeOf(error) === undefined) throw error;
      return { index, text: `${step.what}: ${errorText(error)}` };
    }
  }
  await channel.close();
  return undefined;
}

function declarations({ exchange, queues }: Topology): Step[] {
  const isDefault = exchange.name === '';
  const steps: Step[] = [];
  if (!isDefault) {
    steps.push({
      what: `exchange "${exchange.name}" refused`,
      run: (channel) => channel.assertExchange(exchange.name, exchange.type, { durable: true }),
    });
  }
  for (const queue of queues) {
    steps.push({
      what: `queue "${queue.name}" refused`,
      run: (channel) =>
        channel.assertQueue(queue.name, {
          durable: true,
          arguments: { ...queue.arguments, 'x-queue-type': queue.type },
        }),
    });
    if (isDefault) continue; // bound to it by its own name (AMQP 0-9-1 §3.1.3.1)
    steps.push({
      what: `binding of queue "${queue.name}" to exchange "${exchange.name}" refused`,
      run: (channel) => channel.bindQueue(queue.name, exchange.name, queue.bindingKey),
    });
  }
  return steps;
}

function checks({ exchange, queues }: Topology): Step[] {
  const steps: Step[] = queues.map((queue) => ({
    what: `queue "${queue.name}" is not usable and not ours to declare`,
    run: (channel) => channel.checkQueue(queue.name),
  }));
  if (exchange.name !== '') {
    steps.unshift({
      what: `exchange "${exchange.name}" is not usable and not ours to declare`,
      run: (channel) => channel.checkExchange(exchange.name),
    });
  }
  return steps;
}
