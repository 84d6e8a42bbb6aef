import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LaneMessage } from '../shared/message.ts';
import { parkedKey, recordKey } from './keys.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const PLAIN: LaneMessage = {
  gatewayId: 'site-a',
  topic: 'devices/d1/t',
  clientId: 'd1',
  username: 'ann',
  routingKey: 'd1.t',
  epoch: 3,
  seq: 42,
  receivedAtMs: 1_700_000_000_123,
  qos: 1,
  dup: true,
  retain: false,
  payload: Buffer.from('21.5'),
};

/** Without -0, which JSON has not: to AMQP it is 0 anyway. */
const anyNumber = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0);

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
    run: fc.option(fc.stringMatching(/^[0-9a-f]{15}[1-9a-f]$/), { nil: undefined }),
    elapsedMs: fc.option(fc.nat(), { nil: undefined }),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    dup: fc.boolean(),
    retain: fc.boolean(),
    amqp: fc.option(
      fc.record(
        {
          contentType: fc.string({ unit: 'grapheme' }),
          priority: fc.nat(255),
          expiration: fc.nat().map(String),
          headers: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean(), anyNumber)),
        },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
    payload: fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  })
  .map(({ username, amqp, run, elapsedMs, ...rest }) => ({
    ...rest,
    ...(run === undefined ? {} : { run }),
    ...(elapsedMs === undefined ? {} : { elapsedMs }),
    ...(username === undefined ? {} : { username }),
    ...(amqp === undefined ? {} : { amqp }),
  }));

/** Written by the first version of the gateway, for the key of offset 7 in lane 1. */
const FIRST_LAYOUT =
  '81dedd8101150000000300000000002a018bcfe5687b06000c0002000304736974652d6164657669' +
  '6365732f64312f746431616e6e64312e7432312e35';

test('a record of the first layout is still read', () => {
  const message = decodeRecord(recordKey(1, 7), Buffer.from(FIRST_LAYOUT, 'hex'));
  expect(message).toEqual({ ...PLAIN, fromStore: true });
});

/** The same with properties, as 0.1.0 wrote it. */
const SECOND_LAYOUT =
  'efb9ddc402150000000300000000002a018bcfe5687b06000c0002000304736974652d616465766' +
  '96365732f64312f746431616e6e64312e740000002b7b2274797065223a2274222c22686561646572' +
  '73223a7b226e223a32312e352c226f6b223a747275657d7d32312e35';

test('a record of the second layout is still read, with its properties', () => {
  const message = decodeRecord(recordKey(1, 7), Buffer.from(SECOND_LAYOUT, 'hex'));
  const amqp = { type: 't', headers: { n: 21.5, ok: true } };
  expect(message).toEqual({ ...PLAIN, amqp, fromStore: true });
});

test('what was stored by an earlier version and is stored again still has no run and no time of the gateway', () => {
  const key = recordKey(1, 7);
  const old = decodeRecord(key, Buffer.from(FIRST_LAYOUT, 'hex'));
  const again = decodeRecord(key, encodeRecord(key, old));
  expect(again).toEqual(old);
  expect(Object.keys(again)).not.toContain('run');
  expect(Object.keys(again)).not.toContain('elapsedMs');
});

test('records of several runs, read and written in turns, keep each its own run', () => {
  const runs = ['00000000000000ff', 'aaaaaaaaaaaaaaaa', undefined, '00000000000000ff', undefined];
  for (const run of runs) {
    const key = recordKey(1, 7);
    const message = run === undefined ? PLAIN : { ...PLAIN, run };
    expect(decodeRecord(key, encodeRecord(key, message))).toEqual({ ...message, fromStore: true });
  }
});

test('a record of a layout to come is not taken for another', () => {
  const key = recordKey(1, 7);
  const record = encodeRecord(key, PLAIN);
  record.writeUInt8(4, 4);
  record.writeUInt32BE(crc32(record.subarray(4), crc32(key)), 0);
  expect(() => decodeRecord(key, record)).toThrow(/its layout 4 is unknown/);
});

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

test('records with the same properties share them once they are read', () => {
  const [one, other] = [1, 2].map((offset) => {
    const key = recordKey(1, offset);
    return decodeRecord(key, encodeRecord(key, { ...PLAIN, amqp: { contentType: 'text/plain' } }));
  });
  expect(one?.amqp).toEqual({ contentType: 'text/plain' });
  expect(one?.amqp).toBe(other?.amqp);
});
