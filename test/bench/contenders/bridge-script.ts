/** A bridge as people write it: subscribe, publish on, with confirms. Run by the bench as a process of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ConfirmChannel, connect as connectAmqp } from 'amqplib';
import { connect, connectAsync } from 'mqtt';

const RETRY_MS = 1_000;

const { mqttUrl, amqpUrl, exchange } = JSON.parse(process.argv[2] ?? '{}') as Record<
  'mqttUrl' | 'amqpUrl' | 'exchange',
  string
>;

async function amqpChannel(): Promise<ConfirmChannel | undefined> {
  try {
    const model = await connectAmqp(amqpUrl, { noDelay: true });
    return await model.createConfirmChannel();
  } catch {
    return undefined;
  }
}

const session = { clientId: 'bridge', clean: false } as const;
// The session is made first, so that Mosquitto queues for it while the central broker is away.
const first = await connectAsync(mqttUrl, session);
await first.subscribeAsync('devices/#', { qos: 1 });
await first.endAsync();
process.stdout.write(`${JSON.stringify({ event: 'subscribed' })}\n`);

let channel = await amqpChannel();
while (channel === undefined) {
  await delay(RETRY_MS);
  channel = await amqpChannel();
}
const open = channel;
// The handler stands before the connection does: what was queued comes with the CONNACK.
connect(mqttUrl, session).on('message', (topic, payload) => {
  const routingKey = topic.replaceAll('/', '.');
  open.publish(exchange, routingKey, payload, { persistent: true, mandatory: true });
});
