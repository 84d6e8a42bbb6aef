// Pattern: time to live and dead letters. Answers requests, and tells which of them nobody took in time.
//   node examples/expiry/consumer.mjs [--queue requests]          or --queue requests.expired
//   The broker is AMQP_URL. The queues are there once the gateway has run with config.yaml.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({ options: { queue: { type: 'string', default: 'requests' } } });

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.prefetch(1); // what was sent to a consumer does not expire any more
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  // RabbitMQ adds x-death: a list of queues that let it go, the last one first, each with its reason.
  const [death] = message.properties.headers['x-death'] ?? [];
  if (death === undefined) console.log(`answered: ${message.content}`);
  else console.log(`${death.reason} in ${death.queue}: ${message.content}`); // or rejected, delivery_limit
  channel.ack(message);
});
console.error(`consuming ${values.queue}`);
