import type { Channel, ChannelModel } from 'amqplib';
import { errorText, GatewayError } from '../shared/errors.ts';
import { type BrokerUrl, parseBrokerUrl } from './broker-url.ts';
import { giveUpChannel, noteClosedByBroker, numbersReusable } from './channel-drain.ts';
import { type DialOptions, dial } from './dial.ts';
import type { Link } from './link.ts';
import { answerWithin, channelWithin, type Patience } from './no-answer.ts';
import { replyCodeOf } from './reply-code.ts';

/** Something to look for at the broker. */
export interface Wanted {
  readonly kind: 'exchange' | 'queue';
  readonly name: string;
  /** Whether the right to declare it is asked for too. */
  readonly declares: boolean;
  /** Whether the right to publish to it is asked for too; exchanges only. */
  readonly publishes: boolean;
}

/** What was found. Rights are absent when they were not asked for, or cannot be told. */
export interface Inspected {
  readonly wanted: Wanted;
  readonly isThere: boolean;
  readonly mayDeclare?: boolean;
  readonly mayPublish?: boolean;
}

export interface InspectionOptions extends DialOptions {
  /** At least one, in order of preference. */
  readonly urls: readonly string[];
}

/** Reply codes (AMQP 0-9-1 §1.1). */
const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;

/** An answer to one question takes a round trip. */
const PATIENCE: Patience = { limitMs: 10_000 };
const CLOSE_LIMIT_MS = 2_000;

/**
 * Looks at the first broker that is reached, without changing anything there. What is there is asked by passive
 * declarations; the rights by requests that RabbitMQ refuses either way, after it has looked at the rights: a message
 * whose expiration is no number, declarations with arguments of the wrong kind.
 * @throws {GatewayError} AMQP_UNREACHABLE when none is reached, CONFIG_INVALID for a URL that is none.
 */
export async function inspectBroker(
  options: InspectionOptions,
  wanted: readonly Wanted[],
): Promise<{ readonly url: string; readonly found: readonly Inspected[] }> {
  const { link, url } = await firstLink(options);
  try {
    const found: Inspected[] = [];
    for (const one of wanted) found.push(await inspect(link.model, one));
    return { url: url.redacted, found };
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('AMQP_UNREACHABLE', `${url.redacted}: ${errorText(error)}`, error);
  } finally {
    await link.close({ scope: 'connection', text: 'done' }, CLOSE_LIMIT_MS);
  }
}

async function firstLink(options: InspectionOptions): Promise<{ link: Link; url: BrokerUrl }> {
  const deaf = { lost: ignore, blocked: ignore, unblocked: ignore };
  const reasons: string[] = [];
  for (const url of options.urls.map(parseBrokerUrl)) {
    try {
      const link = await dial(url, options, () => deaf, new AbortController().signal);
      return { link, url };
    } catch (error) {
      reasons.push(errorText(error));
    }
  }
  throw new GatewayError('AMQP_UNREACHABLE', reasons.join('\n'));
}

function ignore(): void {
  // Nothing waits for what the connection tells.
}

async function inspect(model: ChannelModel, wanted: Wanted): Promise<Inspected> {
  const { name, kind } = wanted;
  // The default exchange is always there, and may not even be looked for.
  const isDefault = kind === 'exchange' && name === '';
  const refusal = isDefault ? undefined : await ask(model, (channel) => look(channel, wanted));
  const isThere = refusal === undefined;
  const rights: { mayDeclare?: boolean; mayPublish?: boolean } = {};
  if (wanted.declares && !isDefault) {
    rights.mayDeclare =
      (await ask(model, (channel) => declareWrongly(channel, wanted))) !== ACCESS_REFUSED;
  }
  if (wanted.publishes) {
    const code = await ask(model, (channel) => publishWrongly(channel, name));
    // Without the exchange the right to it is looked at all the same, and first.
    if (code !== NOT_FOUND || !isThere) rights.mayPublish = code !== ACCESS_REFUSED;
  }
  return { wanted, isThere, ...rights };
}

function look(channel: Channel, { kind, name }: Wanted): Promise<unknown> {
  return kind === 'exchange' ? channel.checkExchange(name) : channel.checkQueue(name);
}

function declareWrongly(channel: Channel, { kind, name }: Wanted): Promise<unknown> {
  const durable = true;
  return kind === 'exchange'
    ? channel.assertExchange(name, 'topic', { durable, arguments: { 'alternate-exchange': 1 } })
    : channel.assertQueue(name, { durable, arguments: { 'x-message-ttl': -1 } });
}

function publishWrongly(channel: Channel, exchange: string): Promise<unknown> {
  channel.publish(exchange, '', Buffer.alloc(0), { expiration: 'never' });
  return channel.prefetch(1); // answered only if the publish was not refused
}

/** The reply code with which the broker refuses; undefined when it does not. Each on a channel of its own, as a refusal closes it. */
async function ask(
  model: ChannelModel,
  question: (channel: Channel) => Promise<unknown>,
): Promise<number | undefined> {
  const opening = numbersReusable(model).then(() => model.createChannel());
  const channel = await channelWithin(PATIENCE, opening, (late) => giveUpChannel(model, late));
  let refused: number | undefined;
  channel.on('error', (error) => {
    refused = replyCodeOf(error);
    noteClosedByBroker(model, channel);
  });
  try {
    await answerWithin(PATIENCE, 'inspection', question(channel));
    await answerWithin(PATIENCE, 'channel.close', channel.close());
    return undefined;
  } catch (error) {
    const code = replyCodeOf(error) ?? refused;
    if (code !== undefined) return code;
    giveUpChannel(model, channel);
    throw error;
  }
}
