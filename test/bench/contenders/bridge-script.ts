/** A bridge as people write it: subscribe, publish on, with confirms. Run by the bench as a process of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ConfirmChannel, connect as connectAmqp } from 'amqplib';
import { connect } from 'mqtt';

const RETRY_MS = 1_000;

const { mqttUrl, amqpUrl, exchange, clientId } = JSON.parse(process.argv[2] ?? '{}') as Record<
  'mqttUrl' | 'amqpUrl' | 'exchange' | 'clientId',
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

function sayStarted(): void {
  process.stdout.write(`${JSON.stringify({ event: 'started' })}\n`);
}

let channel = await amqpChannel();
if (channel === undefined) sayStarted();
while (channel === undefined) {
  await delay(RETRY_MS);
  channel = await amqpChannel();
}
const open = channel;
const mqtt = connect(mqttUrl, { clientId, clean: false });
// The handler stands before the connection does: what was queued comes with the CONNACK.
mqtt.on('message', (topic, payload) => {
  const routingKey = topic.replaceAll('/', '.');
  open.publish(exchange, routingKey, payload, { persistent: true, mandatory: true });
});
await mqtt.subscribeAsync('devices/#', { qos: 1 });
sayStarted();
