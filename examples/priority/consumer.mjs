// Pattern: priority queue. Of what waits in the queue it gets the highest priority first, and the oldest of that.
//   node examples/priority/consumer.mjs [--queue events]
//   The broker is AMQP_URL. The queue is there once the gateway has run with config.yaml.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({ options: { queue: { type: 'string', default: 'events' } } });

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
// What was sent here already is passed by nothing: each one more is one that an urgent message waits behind.
await channel.prefetch(1);
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  console.log(`${message.properties.priority} ${message.content}`); // the work
  channel.ack(message);
});
console.error(`consuming ${values.queue}`);
