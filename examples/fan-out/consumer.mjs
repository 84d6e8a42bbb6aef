// Pattern: fan-out. Each copy has a queue of its own and gets every message, from the moment it is up until
// it goes: for dashboards, caches, live views. What must not be missed belongs in a work queue.
//
//   node examples/fan-out/consumer.mjs [--exchange live] [--count N]
//   The broker is AMQP_URL; EXCHANGE sets the other too.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { env } = process;
const { values } = parseArgs({
  options: {
    exchange: { type: 'string', default: env.EXCHANGE ?? 'live' },
    count: { type: 'string', default: 'Infinity' }, // stop after so many messages
  },
});
let left = Number(values.count);

// A lost connection ends the process: let systemd or the like start it again.
const connection = await connect(env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.assertExchange(values.exchange, 'fanout', { durable: true });
// The broker names an exclusive queue, and removes it with this connection. The newest count for a live view:
// a subscriber that cannot keep up loses the oldest instead of filling the broker.
const { queue } = await channel.assertQueue('', { exclusive: true, maxLength: 10_000 });
await channel.bindQueue(queue, values.exchange, ''); // a fanout exchange looks at no key

await channel.prefetch(500);
await channel.consume(queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  if (left-- <= 0) return;
  channel.ack(message);
  const { headers } = message.properties;
  console.log(`${headers['x-mqtt-topic'] ?? message.fields.routingKey} ${message.content}`);
  if (left === 0) connection.close();
});
console.error(`consuming ${values.exchange}`);
