import { afterAll, beforeAll, expect, test } from 'vitest';
import { startConnection, startLane, uniqueTopology } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';

const PATIENCE = { withinMs: 60_000 };
let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
});

afterAll(() => node?.stop());

test('a broker that is killed is lost, and when it is back all lanes open and flow', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const topology = uniqueTopology();
  const lanes = [startLane(connection, topology), startLane(connection)];
  await Promise.all(lanes.map(({ recorder }) => recorder.told('open')));
  await node.kill();
  await Promise.all(lanes.map(({ recorder }) => recorder.told('open', 'closed')));
  expect(lanes[0]?.recorder.closed).toMatchObject([{ scope: 'connection' }]);
  await eventually(() => expect(connection.state().lastError).toMatch(/refused/), PATIENCE);
  expect(connection.state()).toMatchObject({ connected: false, reconnects: 0 });

  await node.start();
  for (const { publisher, recorder } of lanes) {
    await recorder.told('open', 'closed', 'open');
    recorder.publish(publisher, laneMessage(1, 'routed'));
    expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
  }
  expect(connection.state()).toMatchObject({ connected: true, reconnects: 1 });
});

test('a frozen broker is found by heartbeat, and no outcome comes when it thaws', async () => {
  const { connection } = startConnection({
    urls: [node.url],
    heartbeatMs: 1000,
    connectTimeoutMs: 1000,
  });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  node.freeze();
  try {
    recorder.publish(publisher, laneMessage(1, 'routed'));
    await recorder.told('open', 'closed');
    expect(recorder.closed).toEqual([{ scope: 'connection', text: 'Heartbeat timeout' }]);
    await eventually(() => expect(connection.state().lastError).toMatch(/frozen/), PATIENCE);
  } finally {
    node.thaw();
  }
  await recorder.told('open', 'closed', 'open');
  recorder.publish(publisher, laneMessage(2, 'routed'));
  expect(await recorder.answered(2)).toEqual({ kind: 'confirmed' });
  expect(recorder.outcome(1)).toBeUndefined();
});

test('stopping does not hang on a frozen broker', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  node.freeze();
  try {
    const sinceMs = performance.now();
    await publisher.stop();
    await connection.stop();
    expect(performance.now() - sinceMs).toBeLessThan(8_000); // the limits are 2 s each, heartbeat is 20 s
    expect(connection.state().connected).toBe(false);
  } finally {
    node.thaw();
  }
});

test('a broker short of memory blocks, tells it, and goes on when it has recovered', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  await node.ctl('set_vm_memory_high_watermark', '0.000001');
  try {
    recorder.publish(publisher, laneMessage(1, 'routed')); // only who publishes is blocked
    await recorder.told('open', 'blocked');
    expect(connection.state().blockedReason).toMatch(/memory/);
    expect(recorder.outcome(1)).toBeUndefined();
  } finally {
    await node.ctl('set_vm_memory_high_watermark', '0.6');
  }
  await recorder.told('open', 'blocked', 'unblocked');
  expect(connection.state().blockedReason).toBeUndefined();
  expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
});

test('a connection closed by an operator comes back', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { recorder } = startLane(connection);
  await recorder.told('open');
  await node.ctl('close_all_connections', 'maintenance');
  await recorder.told('open', 'closed', 'open');
  expect(recorder.closed).toMatchObject([
    { scope: 'connection', replyCode: 320, text: expect.stringContaining('maintenance') },
  ]);
});

test('a refused login is told in words without the password, and mended by a change of the password', async () => {
  await node.ctl('add_user', 'site', 'old-one');
  await node.ctl('set_permissions', 'site', '.*', '.*', '.*');
  const { connection, troubles } = startConnection({
    urls: [node.url.replace('guest:guest', 'site:new-one')],
  });
  const { recorder } = startLane(connection);
  await eventually(() => expect(troubles).not.toEqual([]), PATIENCE);
  expect(connection.state()).toMatchObject({
    connected: false,
    url: `amqp://site@127.0.0.1:${node.port}`,
    lastError: expect.stringMatching(/login refused.*ACCESS_REFUSED/),
  });
  expect(troubles.map(({ message }) => message).join()).not.toContain('new-one');

  await node.ctl('change_password', 'site', 'new-one');
  await recorder.told('open');
  expect(connection.state().lastError).toBeUndefined();
});

test('an unknown virtual host is told by its name', async () => {
  const { connection } = startConnection({ urls: [`${node.url}/plant%2F7`] });
  await eventually(
    () => expect(connection.state().lastError).toMatch(/virtual host "plant\/7" refused/),
    PATIENCE,
  );
});
