import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ChannelModel } from 'amqplib';
import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
import type { PublishOutcome } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { messageIdOf } from '../shared/message-id.ts';
import { LaneChannel } from './lane-channel.ts';

const LANE = 'telemetry';
const NUMBER = 1;

/** amqplib's confirm channel as far as it is used, with a broker that answers when it is told to. */
class ScriptedChannel extends EventEmitter {
  readonly ch: number = NUMBER;
  readonly connection: object = {
    frameMax: 131_072,
    channels: [null, { buffer: new PassThrough() }],
    sendMessage: () => true,
    sendContent: () => true,
  };
  readonly #unconfirmed: ((error: unknown) => void)[] = [];

  pushConfirmCallback(confirmed: (error: unknown) => void): void {
    this.#unconfirmed.push(confirmed);
  }

  return(message: LaneMessage, replyText: string): void {
    this.emit('return', {
      fields: { replyCode: 312, replyText, routingKey: message.routingKey },
      properties: { messageId: messageIdOf(message, LANE) },
      content: message.payload,
    });
  }

  /** Confirms, or nacks, the oldest that is unconfirmed. */
  answer(error: Error | null = null): void {
    this.#unconfirmed.shift()?.(error);
  }
}

async function openChannel(): Promise<{ broker: ScriptedChannel; channel: LaneChannel }> {
  const broker = new ScriptedChannel();
  const model = { createConfirmChannel: async () => broker } as unknown as ChannelModel;
  const options = { lane: LANE, exchange: 'events', onLost: () => undefined };
  return { broker, channel: await LaneChannel.open(model, options) };
}

test('a message that is in flight twice and comes back twice is confirmed neither time', async () => {
  const { broker, channel } = await openChannel();
  const message = laneMessage(1, 'nowhere');
  const outcomes: PublishOutcome[] = [];
  for (let times = 0; times < 2; times++) channel.publish(message, (told) => outcomes.push(told));
  broker.return(message, 'first');
  broker.return(message, 'second');
  broker.answer();
  broker.answer();
  expect(outcomes).toEqual([
    { kind: 'returned', replyCode: 312, replyText: 'first' },
    { kind: 'returned', replyCode: 312, replyText: 'second' },
  ]);
});

test('the return of a message is not taken away by a nack of the same message', async () => {
  const { broker, channel } = await openChannel();
  const outcomes: string[] = [];
  const refused = laneMessage(1, 'full');
  const unrouted = laneMessage(1, 'nowhere');
  for (const message of [refused, unrouted]) {
    channel.publish(message, ({ kind }) => outcomes.push(kind));
  }
  broker.return(unrouted, 'NO_ROUTE');
  broker.answer(new Error('nacked'));
  broker.answer();
  expect(outcomes).toEqual(['nacked', 'returned']);
});
