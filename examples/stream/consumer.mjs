// Pattern: stream with replay. Reads from where it is told to, also what others have read long ago: for a new
// service, a repaired one, an analysis.
//   node examples/stream/consumer.mjs [--queue history] [--offset first]
//   --offset: first, last (the last chunk), next (only what is new), a number, or an age such as 1h (its chunk).
//   The broker is AMQP_URL. The stream is there once the gateway has run with config.yaml.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({
  options: {
    queue: { type: 'string', default: 'history' },
    offset: { type: 'string', default: 'first' },
  },
});
const from = /^\d+$/.test(values.offset) ? Number(values.offset) : values.offset;

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.prefetch(100); // a stream asks for one
const take = (message) => {
  if (message === null) process.exit(1); // the stream was deleted
  // Keep the offset with your results, and begin one behind it the next time: the broker remembers none.
  console.log(`${message.properties.headers['x-stream-offset']} ${message.content}`);
  channel.ack(message); // asks for more; it removes nothing
};
await channel.consume(values.queue, take, { arguments: { 'x-stream-offset': from } });
console.error(`consuming ${values.queue} from ${values.offset}`);
