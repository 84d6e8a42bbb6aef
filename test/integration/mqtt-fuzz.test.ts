import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { expect, onTestFinished, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';

/** What the whole test may take, of which the machine of a CI run sees enough cases. */
const FUZZ_LIMIT_MS = 10_000;
const WITHIN = { withinMs: 5000, everyMs: 2 };

const packetId = fc.integer({ min: 1, max: 5 });
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const topic = fc.oneof(
  fc.constantFrom('a', 'a/b', '$SYS/a', '__proto__', 'constructor', '/', 'a//b', '\ufffd'),
  fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
  fc.integer({ min: 90, max: 110 }).map((levels) => 'a/'.repeat(levels)),
);
const filter = fc.oneof(topic, fc.constantFrom('#', '+', 'a/#', '+/+', '#/a', 'a+', '$SYS/#'));
const payload = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes));
const clientId = fc.constantFrom('a', 'b', '', '__proto__', 'constructor', 'good');

const connect = fc
  .record({
    clientId,
    clean: fc.boolean(),
    keepalive: fc.nat(2),
    will: fc.option(fc.record({ topic, payload, qos, retain: fc.boolean() }), { nil: undefined }),
  })
  .map((fields): Packet => {
    const { will, ...rest } = fields;
    const base = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, ...rest } as const;
    return will === undefined ? base : { ...base, will };
  });
const publish = fc
  .record({ topic, payload, qos, messageId: packetId, dup: fc.boolean(), retain: fc.boolean() })
  .map((fields): Packet => ({ cmd: 'publish', ...fields }));
const subscribe = fc
  .record({
    messageId: packetId,
    subscriptions: fc.array(fc.record({ topic: filter, qos }), { minLength: 1, maxLength: 4 }),
  })
  .map((fields): Packet => ({ cmd: 'subscribe', ...fields }));
const unsubscribe = fc
  .record({
    messageId: packetId,
    unsubscriptions: fc.array(filter, { minLength: 1, maxLength: 3 }),
  })
  .map((fields): Packet => ({ cmd: 'unsubscribe', ...fields }));
const answer = fc
  .record({ cmd: fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp'), messageId: packetId })
  .map((fields) => fields as Packet);
const plain = fc
  .constantFrom('pingreq', 'disconnect', 'pingresp')
  .map((cmd): Packet => ({ cmd }) as Packet);
const packet = fc.oneof(publish, subscribe, unsubscribe, answer, plain, connect);

/** The bytes of a packet; none for one that the generator itself refuses. */
function bytesOf(one: Packet): Buffer {
  try {
    return generate(one);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Whole conversations, with some bytes changed, and bare bytes. */
const conversation = fc
  .record({
    first: fc.option(connect, { nil: undefined, freq: 5 }),
    packets: fc.array(packet, { maxLength: 12 }),
    changes: fc.array(fc.record({ at: fc.nat(400), to: fc.nat(255) }), { maxLength: 3 }),
    noise: fc.uint8Array({ maxLength: 20 }),
  })
  .map(({ first, packets, changes, noise }) => {
    const start = first === undefined ? [] : [first];
    const bytes = Buffer.concat([...[...start, ...packets].map(bytesOf), noise]);
    for (const { at, to } of changes) if (at < bytes.length) bytes[at] = to;
    return bytes;
  });

test('no bytes bring an exception that nobody catches, or keep a good client from its PUBACK', async () => {
  const faults: unknown[] = [];
  const onFault = (fault: unknown): void => {
    faults.push(fault);
  };
  process.on('uncaughtExceptionMonitor', onFault);
  process.on('unhandledRejection', onFault);
  onTestFinished(() => {
    process.off('uncaughtExceptionMonitor', onFault);
    process.off('unhandledRejection', onFault);
  });
  const gate = new ControlledAccept({ immediately: true });
  const { server, port } = await startMqttServer(gate);
  const good = await RawMqttClient.open(port, { clientId: 'the good one' });
  let acknowledged = 0;

  await fc.assert(
    fc.asyncProperty(conversation, async (bytes) => {
      const bad = new RawMqttClient(port);
      await new Promise((resolve) => bad.socket.write(bytes, resolve));
      bad.socket.end();
      acknowledged += 1;
      good.publish(acknowledged % 65_535 || 1, 'good');
      await good.waitFor('puback', acknowledged);
      await bad.waitForClose();
      expect(faults).toEqual([]);
    }),
    { interruptAfterTimeLimit: FUZZ_LIMIT_MS, numRuns: 2000 },
  );

  expect(acknowledged).toBeGreaterThan(100);
  await eventually(() => expect(server.connections).toBe(1), WITHIN);
  expect(server.stats().clients).toBe(1);
});
