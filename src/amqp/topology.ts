import type { Channel, ChannelModel } from 'amqplib';
import { errorText, GatewayError } from '../shared/errors.ts';
import { giveUpChannel, noteClosedByBroker, numbersReusable } from './channel-drain.ts';
import { readInequivalence } from './inequivalent.ts';
import { answerWithin, channelWithin, type Patience } from './no-answer.ts';
import { replyCodeOf } from './reply-code.ts';

/** Binding key that meets every routing key of a topic exchange; fanout and headers exchanges do not look at it. */
const ANY_KEY = '#';

/** Said of what somebody else has to declare. */
const MISSING = 'is not usable and not ours to declare';

type Arguments = Readonly<Record<string, unknown>>;

type ExchangeType = 'topic' | 'direct' | 'fanout' | 'headers';

interface ExchangeSpec {
  /** Empty for the default exchange, which is always there and takes no bindings. */
  readonly name: string;
  readonly type: ExchangeType;
  /** False: all of the topology belongs to somebody else and is only looked for. */
  readonly declare: boolean;
  /** Arguments of exchange.declare, such as `alternate-exchange`. */
  readonly arguments?: Arguments;
}

interface BindingSpec {
  /** The source. Default: the exchange of the lane. */
  readonly exchange?: string;
  /** Default `#`. */
  readonly key?: string;
  /** For a headers exchange `x-match` and the headers to meet. */
  readonly arguments?: Arguments;
}

/** How something is bound; with neither by the key `#` to the exchange of the lane. */
interface Bound {
  readonly name: string;
  /** Short for `bindings` with one entry of this key. */
  readonly bindingKey?: string;
  readonly bindings?: readonly BindingSpec[];
}

/** A further exchange, which gets messages from the lane's. */
interface BoundExchangeSpec extends Bound {
  readonly type: ExchangeType;
  readonly arguments?: Arguments;
}

export interface QueueSpec extends Bound {
  /** Only quorum queues are on disk before the confirm (RabbitMQ docs/confirms). */
  readonly type: 'quorum' | 'classic' | 'stream';
  /** Further queue.declare arguments, such as `x-max-length`. */
  readonly arguments?: Arguments;
}

/** What one lane needs at the broker. All of it is durable. */
export interface Topology {
  readonly exchange: ExchangeSpec;
  readonly exchanges?: readonly BoundExchangeSpec[];
  readonly queues: readonly QueueSpec[];
}

/** One thing to ask of the broker. */
interface Step {
  /** The same for two steps that ask for the same. */
  readonly key: string;
  readonly what: string;
  /** What is said of it when the broker says no. */
  readonly complaint: string;
  /** What goes when it is deleted, to be declared anew. */
  readonly costOfDeletion?: string;
  run(channel: Channel): Promise<unknown>;
}

/** A channel to ask on, and how. */
export interface TopologyContext {
  readonly model: ChannelModel;
  /** In confirm mode or not. A refusal closes it (AMQP 0-9-1 channel.close). */
  readonly channel: Channel;
  readonly patience: Patience;
  /** What another lane has just put in place on this connection is not asked for again. */
  readonly trustsRecent: boolean;
}

/** So long, at most, a step counts as done for other lanes that open meanwhile: 1,000 of them often share an exchange. */
const RECENT_MS = 5_000;

/** Keys of the steps that were done just now, on each connection. */
const recentlyDone: WeakMap<ChannelModel, Set<string>> = new WeakMap();

function noteDone(model: ChannelModel, key: string): void {
  let keys = recentlyDone.get(model);
  if (keys === undefined) {
    keys = new Set();
    recentlyDone.set(model, keys);
    setTimeout(() => recentlyDone.delete(model), RECENT_MS).unref();
  }
  keys.add(key);
}

/**
 * Makes sure that the lane's exchanges and queues are there: declares and binds them, or looks for them when
 * they are not ours to declare (bindings cannot be looked for).
 * @throws {GatewayError} AMQP_TOPOLOGY_REFUSED with everything that is missing or refused, in the broker's words.
 * @throws {NoAnswer} when the broker takes more than `patience.limitMs` for one step (a quorum queue whose members
 * are away, for instance).
 * Whatever it throws, the channel is of no use any more: it is closed, or given up.
 */
export async function ensureTopology(context: TopologyContext, topology: Topology): Promise<void> {
  const refusals: string[] = [];
  const isOurs = topology.exchange.declare;
  let steps = isOurs ? declarations(topology) : checks(topology);
  for (let channel = context.channel; ; channel = await anotherChannel(context)) {
    const refusal = await runSteps({ ...context, channel }, steps);
    if (refusal !== undefined) refusals.push(refusal.text);
    // A declaration may need the ones before it, checks do not: go on behind the refused one.
    steps = refusal === undefined || isOurs ? [] : steps.slice(refusal.index + 1);
    if (steps.length > 0) continue;
    if (refusal === undefined && channel !== context.channel) giveUpChannel(context.model, channel);
    break;
  }
  if (refusals.length > 0) throw new GatewayError('AMQP_TOPOLOGY_REFUSED', refusals.join('; '));
}

/** The one before was closed by a refusal. */
async function anotherChannel({ model, patience }: TopologyContext): Promise<Channel> {
  const opening = numbersReusable(model).then(() => model.createChannel());
  const channel = await channelWithin(patience, opening, (late) => giveUpChannel(model, late));
  channel.on('error', () => noteClosedByBroker(model, channel)); // the same error rejects the step
  return channel;
}

/** Runs the steps up to the first refusal. Faults that are no refusals are thrown, and cost the channel. */
async function runSteps(
  { model, channel, patience, trustsRecent }: TopologyContext,
  steps: readonly Step[],
): Promise<{ index: number; text: string } | undefined> {
  for (const [index, step] of steps.entries()) {
    if (trustsRecent && recentlyDone.get(model)?.has(step.key)) continue;
    try {
      await answerWithin(patience, step.what, step.run(channel));
      noteDone(model, step.key);
    } catch (error) {
      if (replyCodeOf(error) !== undefined) return { index, text: refusalText(step, error) };
      giveUpChannel(model, channel);
      throw error;
    }
  }
  return undefined;
}

/** The broker's words; where they are about an argument that differs, first what to do. */
function refusalText(step: Step, error: unknown): string {
  const { costOfDeletion } = step;
  const what = `${step.what} ${step.complaint}`;
  const text = errorText(error);
  const difference = readInequivalence(text);
  if (difference === undefined || costOfDeletion === undefined) return `${what}: ${text}`;
  const { argument, there, here } = difference;
  return (
    `${what}: ${argument} is ${there} at the broker and ${here} in the config; give the config the value ` +
    `of the broker, or delete it at the broker (${costOfDeletion} go with it), or use it as it is with ` +
    `"declare: false" of the exchange. ${text}`
  );
}

/** Exchanges first, and before any binding: a binding may name any of them. */
function declarations({ exchange, exchanges = [], queues }: Topology): Step[] {
  const own = exchange.name === '' ? [] : [exchange];
  return [
    ...[...own, ...exchanges].map(exchangeDeclaration),
    ...queues.map(queueDeclaration),
    ...exchanges.flatMap((bound) => bindings('exchange', bound, exchange.name)),
    ...queues.flatMap((bound) => bindings('queue', bound, exchange.name)),
  ];
}

function exchangeDeclaration(exchange: Omit<ExchangeSpec, 'declare'>): Step {
  return {
    key: JSON.stringify(['exchange.declare', exchange.name, exchange.type, exchange.arguments]),
    what: `exchange "${exchange.name}"`,
    complaint: 'refused',
    costOfDeletion: 'its bindings',
    run: (channel) =>
      channel.assertExchange(exchange.name, exchange.type, {
        durable: true,
        arguments: exchange.arguments,
      }),
  };
}

function queueDeclaration(queue: QueueSpec): Step {
  return {
    key: JSON.stringify(['queue.declare', queue.name, queue.type, queue.arguments]),
    what: `queue "${queue.name}"`,
    complaint: 'refused',
    costOfDeletion: 'its messages',
    run: (channel) =>
      channel.assertQueue(queue.name, {
        durable: true,
        arguments: { ...queue.arguments, 'x-queue-type': queue.type },
      }),
  };
}

function bindings(kind: 'exchange' | 'queue', bound: Bound, ownExchange: string): Step[] {
  const specs: readonly BindingSpec[] = bound.bindings ?? [{ key: bound.bindingKey ?? ANY_KEY }];
  return specs.flatMap((spec) => {
    const source = spec.exchange ?? ownExchange;
    if (source === '') return []; // each queue is bound to it by its own name (AMQP 0-9-1 §3.1.3.1)
    const key = spec.key ?? ANY_KEY;
    return {
      key: JSON.stringify([`${kind}.bind`, bound.name, source, key, spec.arguments]),
      what: `binding of ${kind} "${bound.name}" to exchange "${source}"`,
      complaint: 'refused',
      run: (channel: Channel) =>
        kind === 'queue'
          ? channel.bindQueue(bound.name, source, key, spec.arguments)
          : channel.bindExchange(bound.name, source, key, spec.arguments),
    };
  });
}

function checks({ exchange, exchanges = [], queues }: Topology): Step[] {
  const own = exchange.name === '' ? [] : [exchange];
  return [
    ...[...own, ...exchanges].map(({ name }) => ({
      key: JSON.stringify(['exchange.check', name]),
      what: `exchange "${name}"`,
      complaint: MISSING,
      run: (channel: Channel) => channel.checkExchange(name),
    })),
    ...queues.map(({ name }) => ({
      key: JSON.stringify(['queue.check', name]),
      what: `queue "${name}"`,
      complaint: MISSING,
      run: (channel: Channel) => channel.checkQueue(name),
    })),
  ];
}
