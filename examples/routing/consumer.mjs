// Pattern: routing. Takes the queue whose binding keys are the levels it is for; config.yaml lists them.
//   node examples/routing/consumer.mjs [--queue logs.alerts]      or --queue logs.archive
//   The broker is AMQP_URL. The queues are there once the gateway has run with config.yaml.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({
  options: { queue: { type: 'string', default: 'logs.alerts' } },
});

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.prefetch(50);
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  const level = message.fields.routingKey; // the key is the level, by the template of the mapping
  console.log(`${level}: ${message.content} (${message.properties.headers['x-mqtt-topic']})`);
  channel.ack(message);
});
console.error(`consuming ${values.queue}`);
