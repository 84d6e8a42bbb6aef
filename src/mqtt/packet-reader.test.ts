import fc from 'fast-check';
import { generate, parser as mqttParser, type Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { PacketReader } from './packet-reader.ts';

const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const publish = fc
  .record({
    topic: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(20_000).map((length) => new Uint8Array(length)), // remaining lengths of three bytes too
    ),
    qos,
    messageId: fc.integer({ min: 1, max: 65_535 }),
    dup: fc.boolean(),
    retain: fc.boolean(),
  })
  .map(
    ({ payload, ...rest }): Packet => ({
      cmd: 'publish',
      ...rest,
      payload: Buffer.from(payload),
      dup: rest.dup && rest.qos > 0,
    }),
  );
const other = fc.constantFrom<Packet>(
  { cmd: 'pingreq' },
  { cmd: 'pubrel', messageId: 7 },
  { cmd: 'subscribe', messageId: 8, subscriptions: [{ topic: 'a/#', qos: 1 }] },
);

interface Seen {
  readonly packets: readonly object[];
  readonly errors: readonly string[];
}

/** What comes out of mqtt-packet's parser when its `parse` is called as `feed` says. */
function seen(feed: (parser: ReturnType<typeof mqttParser>) => void): Seen {
  const packets: object[] = [];
  const errors: string[] = [];
  const parser = mqttParser();
  // As text, which is compared at once and not byte by byte.
  const asText = (bytes: unknown): unknown =>
    Buffer.isBuffer(bytes) ? bytes.toString('latin1') : bytes;
  parser.on('packet', (packet) =>
    packets.push('payload' in packet ? { ...packet, payload: asText(packet.payload) } : packet),
  );
  parser.on('error', (error) => errors.push(error.message));
  feed(parser);
  return { packets, errors };
}

function readIn(chunks: readonly Buffer[]): Seen {
  return seen((parser) => {
    const reader = new PacketReader(
      parser as unknown as ConstructorParameters<typeof PacketReader>[0],
    );
    for (const chunk of chunks) reader.read(chunk);
  });
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, n) => bytes.subarray(from, at[n] ?? bytes.length));
}

test('however the bytes are cut, the packets are those of mqtt-packet', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: publish }, other), { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (packets, places) => {
        const bytes = Buffer.concat(packets.map((packet) => generate(packet)));
        const expected = seen((parser) => parser.parse(bytes));
        expect(readIn(cut(bytes, places))).toEqual(expected);
        expect(expected.packets).toHaveLength(packets.length);
      },
    ),
  );
});

test('bytes that come one by one give the same packets', () => {
  const packet: Packet = {
    cmd: 'publish',
    topic: 'a/b',
    payload: Buffer.alloc(300, 'x'),
    qos: 1,
    messageId: 5,
    dup: false,
    retain: false,
  };
  const bytes = Buffer.concat([generate(packet), generate(packet)]);
  const { packets, errors } = readIn(Array.from(bytes, (byte) => Buffer.of(byte)));
  expect(errors).toEqual([]);
  const expected = { ...packet, payload: 'x'.repeat(300) };
  expect(packets).toMatchObject([expected, expected]);
});

test.each([
  ['of QoS 3', [0x36, 5, 0, 1, 0x61, 0, 1], 'Packet must not have both QoS bits set to 1'],
  ['without a topic name', [0x30, 1, 0], 'Cannot parse topic'],
  ['with a topic name longer than itself', [0x30, 3, 0, 9, 0x61], 'Cannot parse topic'],
])('a PUBLISH %s is told as mqtt-packet tells it', (_what, bytes, message) => {
  expect(readIn([Buffer.from(bytes)])).toEqual({ packets: [], errors: [message] });
});

test('a PUBLISH that lacks its packet identifier does not take it from the packet behind it', () => {
  const { packets } = readIn([Buffer.of(0x32, 3, 0, 1, 0x61, 0xc0, 0)]);
  expect(packets).toMatchObject([{ cmd: 'publish', messageId: -1 }, { cmd: 'pingreq' }]);
});
