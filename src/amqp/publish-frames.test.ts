import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
import type { LaneMessage, MessageProperties } from '../shared/message.ts';
import { propertiesOf } from './amqp-message.ts';
import { bodyApart, PublishFrames } from './publish-frames.ts';

interface Fields {
  readonly fields: Readonly<Record<string, unknown>>;
}

/** amqplib's own reader of frames, which its package does not export. */
const amqplibFrames = createRequire(import.meta.url)('../../node_modules/amqplib/lib/frame.js') as {
  parseFrame(bytes: Buffer, max: number): (Fields & { readonly rest: Buffer }) | false;
  decodeFrame(frame: object): Fields & { readonly size?: number; readonly content?: Buffer };
};

const OPTIONS = { lane: 'telemetry', exchange: 'events', channel: 7, frameMax: 131_072 };

/** What a broker makes of the bytes. */
function read(chunk: Buffer): ReturnType<typeof amqplibFrames.decodeFrame>[] {
  const frames = [];
  for (let rest = chunk; rest.length > 0; ) {
    const frame = amqplibFrames.parseFrame(rest, OPTIONS.frameMax);
    if (frame === false) throw new Error('the last frame is cut off');
    frames.push(amqplibFrames.decodeFrame(frame));
    rest = frame.rest;
  }
  return frames;
}

/** Compares what is read with what was to be sent. */
function expectSent(chunk: Buffer, message: LaneMessage): void {
  const [method, header, body, ...others] = read(chunk);
  const { exchange, lane } = OPTIONS;
  const { routingKey, payload } = message;
  expect(method?.fields).toEqual({
    ticket: 0,
    exchange,
    routingKey,
    mandatory: true,
    immediate: false,
  });
  const sent = Object.entries(header?.fields ?? {}).filter(([, value]) => value !== undefined);
  expect(Object.fromEntries(sent)).toEqual(propertiesOf(message, lane));
  expect(header?.size).toBe(payload.length);
  const inChunk = payload.length > 0 && bodyApart(message) === undefined;
  expect(body?.content).toEqual(inChunk ? payload : undefined);
  expect(others).toEqual([]);
}

const shortText = fc.string({ maxLength: 60, unit: 'grapheme' });
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(127, 128, -128, -129, 32_767, 32_768, -32_768, -32_769, 2 ** 31, -(2 ** 31) - 1),
);
const headerValue = fc.oneof(shortText, fc.boolean(), number);
const headerName = shortText.filter((name) => name !== '__proto__' && !name.startsWith('x-'));
const headers = fc.dictionary(headerName, headerValue, { maxKeys: 5 });

const properties: fc.Arbitrary<MessageProperties> = fc.record(
  {
    contentType: shortText,
    contentEncoding: shortText,
    priority: fc.integer({ min: 0, max: 255 }),
    expiration: shortText,
    type: shortText,
    correlationId: shortText,
    replyTo: shortText,
    headers: headers.map((fields) => ({ ...fields })),
  },
  { requiredKeys: [] },
);

const seq = fc.oneof(fc.integer({ min: 1 }), fc.maxSafeInteger().map(Math.abs));

/** One thing that sets a message apart from the one before. */
const change: fc.Arbitrary<Partial<LaneMessage>> = fc.oneof(
  fc.record({ topic: fc.constantFrom('t/1', 't/2', 'a much longer topic/ä') }),
  fc.record({ clientId: fc.constantFrom('c1', 'c2') }),
  fc.record({ routingKey: fc.constantFrom('t.1', '', 'ü') }),
  fc.record({ gatewayId: fc.constantFrom('site-a', 'b') }),
  fc.record({ payload: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)) }),
  fc.record({ qos: fc.constantFrom(0, 1, 2) }),
  fc.record({ dup: fc.boolean() }),
  fc.record({ retain: fc.boolean() }),
  fc.record({ fromStore: fc.boolean() }),
  fc.record({ epoch: fc.constantFrom(1, 300) }),
  fc.constantFrom({}, { run: 'aaaaaaaaaaaaaaaa' }, { run: '00000000000000b1' }),
  fc.record({ receivedAtMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }) }),
  fc.record({ amqp: properties }),
);

/** Messages of one lane, each much like the one before. */
const messages: fc.Arbitrary<LaneMessage[]> = fc
  .array(fc.tuple(seq, change), { minLength: 1, maxLength: 30 })
  .map((changes) => {
    let last = laneMessage(1, 'key');
    return changes.map(([nextSeq, changed]) => {
      last = { ...last, ...changed, seq: nextSeq };
      return last;
    });
  });

test('what amqplib reads from the frames is the message, whatever was sent before it', () => {
  fc.assert(
    fc.property(messages, (sent) => {
      const frames = new PublishFrames(OPTIONS);
      for (const one of sent) expectSent(frames.encode(one), one);
    }),
    { numRuns: 300 },
  );
});

test.each([0, 1, 4_096, 4_097, 300_000])('a body of %i bytes is announced', (bytes) => {
  const one = laneMessage(1, 'key', { payload: Buffer.alloc(bytes, 'x') });
  expectSent(new PublishFrames(OPTIONS).encode(one), one);
  expect(bodyApart(one) === undefined).toBe(bytes <= 4_096);
});

test.each([
  ['a routing key of 256 bytes', laneMessage(1, 'x'.repeat(256)), '255'],
  ['a topic of 64 KiB', laneMessage(1, 'key', { topic: 't'.repeat(65_535) }), '64 KiB'],
  ['a property of 256 bytes', laneMessage(1, 'key', { amqp: { type: 'ü'.repeat(128) } }), '255'],
  ['a message-id of 256 bytes', laneMessage(10, 'key', { gatewayId: 'g'.repeat(242) }), '255'],
])('%s does not fit', (_what, one, why) => {
  const frames = new PublishFrames(OPTIONS);
  expect(() => frames.encode(one)).toThrow(why);
  const next = laneMessage(2, 'key');
  expectSent(frames.encode(next), next);
});

test('properties do not fit when they are larger than a frame', () => {
  const frames = new PublishFrames({ ...OPTIONS, frameMax: 4_096 });
  expect(() => frames.encode(laneMessage(1, 'k', { topic: 't'.repeat(4_000) }))).toThrow('frame');
});

test('frames stay right when so many are remembered that all are forgotten', () => {
  const frames = new PublishFrames(OPTIONS);
  const hog = new PublishFrames({ ...OPTIONS, lane: 'hog' });
  expectSent(frames.encode(laneMessage(1, 'key')), laneMessage(1, 'key'));
  for (let n = 0; n < 20_000; n += 1) hog.encode(laneMessage(n, 'key', { topic: `t/${n}` }));
  for (const n of [2, 3]) {
    const one = laneMessage(n, 'key');
    expectSent(frames.encode(one), one);
  }
});
