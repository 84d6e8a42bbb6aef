// Pattern: headers exchange. Takes the queue whose binding arguments the headers of the message meet.
//   node examples/headers/consumer.mjs [--queue alarms.pager]     or alarms.watch, alarms.all
//   The broker is AMQP_URL. The queues are there once the gateway has run with config.yaml.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({
  options: { queue: { type: 'string', default: 'alarms.pager' } },
});

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.prefetch(50);
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  const { level, kind } = message.properties.headers; // of the payload, by the mapping
  console.log(`${kind}, level ${level}: ${message.properties.headers['x-mqtt-topic']}`);
  channel.ack(message);
});
console.error(`consuming ${values.queue}`);
