import type { Message } from 'amqplib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
import type { LaneMessage } from '../shared/message.ts';
import { messageIdOf } from '../shared/message-id.ts';
import { Unanswered } from './unanswered.ts';

const LANE = 'telemetry';

/** The basic.return of a message, as amqplib gives it. */
function returnOf(message: LaneMessage, replyText: string): Message {
  return {
    fields: { replyCode: 312, replyText, routingKey: message.routingKey },
    properties: { messageId: messageIdOf(message, LANE) },
    content: Buffer.from(message.payload),
  } as unknown as Message;
}

function publish(unanswered: Unanswered, message: LaneMessage): number {
  const tag = unanswered.nextTag;
  unanswered.add(message);
  return tag;
}

test('each publish of one message gets the return that is its own', () => {
  const unanswered = new Unanswered(LANE);
  const message = laneMessage(1, 'nowhere');
  const tags = [publish(unanswered, message), publish(unanswered, message)];
  unanswered.returned(returnOf(message, 'first'));
  unanswered.returned(returnOf(message, 'second'));
  expect(tags.map((tag) => unanswered.answered(tag)?.replyText)).toEqual(['first', 'second']);
});

test.each([
  ['routing key', { routingKey: 'elsewhere' }],
  ['payload', { payload: Buffer.from('another') }],
])('two messages of one message-id are told apart by their %s', (_what, difference) => {
  const unanswered = new Unanswered(LANE);
  const kept = publish(unanswered, laneMessage(1, 'nowhere'));
  const other = laneMessage(1, 'nowhere', difference);
  const lost = publish(unanswered, other);
  unanswered.returned(returnOf(other, 'NO_ROUTE'));
  expect(unanswered.answered(kept)).toBeUndefined();
  expect(unanswered.answered(lost)?.replyText).toBe('NO_ROUTE');
});

test('a return of what was never published, or is answered, belongs to nothing', () => {
  const unanswered = new Unanswered(LANE);
  const first = publish(unanswered, laneMessage(1, 'nowhere'));
  const second = publish(unanswered, laneMessage(2, 'nowhere'));
  unanswered.answered(first);
  unanswered.returned(returnOf(laneMessage(1, 'nowhere'), 'late'));
  unanswered.returned(returnOf(laneMessage(9, 'nowhere'), 'foreign'));
  expect(unanswered.answered(second)).toBeUndefined();
});

/** A broker that returns what it cannot route, in order, and answers in whatever order, each after its return. */
test('whatever is returned and in whatever order it is answered, every publish gets its own outcome', () => {
  const publishes = fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.nat(40)), { maxLength: 3_000 });
  fc.assert(
    fc.property(publishes, (plan) => {
      const unanswered = new Unanswered(LANE);
      const open: { readonly tag: number; readonly returned: boolean }[] = [];
      for (const [seq, returned, answers] of plan) {
        // What is routed has another key than what is not.
        const message = laneMessage(seq, returned ? 'nowhere' : 'routed');
        const tag = publish(unanswered, message);
        open.push({ tag, returned });
        if (returned) unanswered.returned(returnOf(message, String(tag)));
        const [answered] = answers < 30 ? open.splice(answers % open.length, 1) : [];
        if (answered === undefined) continue;
        const expected = answered.returned ? String(answered.tag) : undefined;
        expect(unanswered.answered(answered.tag)?.replyText).toBe(expected);
      }
    }),
    { numRuns: 30 },
  );
});
