// Pattern: topics. Chooses by patterns over the words of the routing key: * is one word, # any number, none included.
//   node examples/topics/consumer.mjs [--exchange telemetry] '*.boiler.temp' 'north.#'
//   The broker is AMQP_URL. The queue goes with this process, as in fan-out; for what must not be missed name a
//   durable one, as in work-queue.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values, positionals } = parseArgs({
  options: { exchange: { type: 'string', default: 'telemetry' } },
  allowPositionals: true,
});
const patterns = positionals.length > 0 ? positionals : ['#'];

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.assertExchange(values.exchange, 'topic', { durable: true });
const { queue } = await channel.assertQueue('', { exclusive: true, maxLength: 10_000 });
// Several patterns are joined by "or": a message that two of them match comes once.
for (const pattern of patterns) await channel.bindQueue(queue, values.exchange, pattern);

await channel.prefetch(500);
await channel.consume(queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  console.log(`${message.fields.routingKey} ${message.content}`);
  channel.ack(message);
});
console.error(`consuming ${values.exchange} ${patterns.join(' ')}`);
