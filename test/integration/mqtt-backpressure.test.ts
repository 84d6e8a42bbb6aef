import { expect, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { publishBytes, RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const ROUND_TRIPS = 100;
/** More than the kernel buffers of both ends of a loopback connection hold. */
const FLOOD_BYTES = 64 * 1024 ** 2;

/** Resolves when nothing more leaves the flooding client while another goes through 100 round trips. */
async function untilStalled(flooder: RawMqttClient, other: RawMqttClient): Promise<void> {
  for (let still = 0, last = -1; still < ROUND_TRIPS; still++) {
    await other.settled();
    if (flooder.socket.writableLength !== last) still = 0;
    last = flooder.socket.writableLength;
  }
}

test.each([
  ['one packet a chunk', 100_000, 4],
  ['many packets a chunk', 200, 1500],
])(
  'a client whose messages never become safe is not read on: %s',
  async (_what, payloadBytes, atMost) => {
    const gate = new ControlledAccept();
    const { port } = await startMqttServer(gate);
    const flooder = await RawMqttClient.open(port, { clientId: 'flooder' });
    const other = await RawMqttClient.open(port, { clientId: 'other' });
    const packet = publishBytes(1, 't', { payload: Buffer.alloc(payloadBytes) });
    const chunk = Buffer.concat(Array(Math.ceil(100_000 / packet.length)).fill(packet));
    for (let sent = 0; sent < FLOOD_BYTES; sent += chunk.length) flooder.socket.write(chunk);

    await untilStalled(flooder, other);
    expect(flooder.socket.writableLength).toBeGreaterThan(FLOOD_BYTES / 4);
    expect(gate.calls.length).toBeGreaterThan(0);
    expect(gate.calls.length).toBeLessThanOrEqual(atMost);
  },
);

test('small messages that come one by one are read ahead, up to 64 of a client', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  for (let id = 1; id <= 100; id++) {
    device.publish(id, 't');
    if (id <= 64) await gate.call(id);
  }
  const other = await RawMqttClient.open(port, { clientId: 'other' });
  for (let trip = 0; trip < ROUND_TRIPS; trip++) await other.settled();
  expect(gate.calls).toHaveLength(64);

  for (let id = 1; id <= 100; id++) (await gate.call(id)).safe();
  await device.waitFor('puback', 100);
});

test('reading goes on after messages became safe late', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  for (let id = 1; id <= 2000; id++) device.publish(id, 't', { payload: Buffer.alloc(500) });
  for (let id = 1; id <= 2000; id++) (await gate.call(id)).safe();
  await device.waitFor('puback', 2000);
  expect(device.ids('puback')).toEqual(Array.from({ length: 2000 }, (_, index) => index + 1));
});

test('stopping takes no connection and no message more, and completes what was read', async () => {
  const gate = new ControlledAccept();
  const { server, port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  const halfway = new RawMqttClient(port);
  device.publish(1, 't');
  const call = await gate.call(1);
  await eventually(() => expect(server.connections).toBe(2), { withinMs: 5000 });

  server.stopAccepting();
  await halfway.waitForClose();
  const late = new RawMqttClient(port);
  await late.waitForClose();
  await new Promise((resolve) => device.socket.write(publishBytes(2, 't'), resolve));
  call.safe();
  await device.waitFor('puback');
  await server.close();
  await device.waitForClose();
  expect(device.ids('puback')).toEqual([1]);
  expect(gate.calls).toHaveLength(1);
});
