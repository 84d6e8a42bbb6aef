import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LaneMessage } from '../shared/message.ts';
import { parkedKey, recordKey } from './keys.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const anyMessage: fc.Arbitrary<LaneMessage> = fc
  .record({
    gatewayId: fc.string({ minLength: 1, maxLength: 60 }),
    topic: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }),
    clientId: fc.string({ unit: 'grapheme', maxLength: 100 }),
    username: fc.option(fc.string(), { nil: undefined }),
    routingKey: fc.string({ maxLength: 255, unit: 'grapheme-ascii' }),
    epoch: fc.nat(),
    seq: fc.integer({ min: 1, max: 2 ** 47 }),
    receivedAtMs: fc.integer({ min: 0, max: 2 ** 45 }),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    dup: fc.boolean(),
    retain: fc.boolean(),
    amqp: fc.option(
      fc.record({ contentType: fc.string(), headers: fc.dictionary(fc.string(), fc.string()) }),
      { nil: undefined },
    ),
    payload: fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  })
  .map(({ username, amqp, ...rest }) => ({
    ...rest,
    ...(username === undefined ? {} : { username }),
    ...(amqp === undefined ? {} : { amqp }),
  }));

test('a record gives back exactly the message that was stored', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), (message, offset) => {
      const key = recordKey(3, offset);
      expect(decodeRecord(key, encodeRecord(key, message))).toEqual({
        ...message,
        fromStore: true,
      });
    }),
  );
});

test('any flipped bit of a record is found', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.nat(7), (message, position, bit) => {
      const key = parkedKey(1, message.epoch, message.seq);
      const record = encodeRecord(key, message);
      const at = position % record.length;
      record.writeUInt8(record.readUInt8(at) ^ (1 << bit), at);
      expect(() => decodeRecord(key, record)).toThrow(/cannot be read/);
    }),
  );
});

test('a record read under another offset is found', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const record = encodeRecord(recordKey(1, 7), message);
      expect(() => decodeRecord(recordKey(1, 8), record)).toThrow(/checksum/);
    }),
  );
});
