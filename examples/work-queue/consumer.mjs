// Pattern: work queue. Run as many copies as the work needs: each message goes to one of them, and back into
// the queue if that one dies before it has acknowledged. Nothing is lost while no copy runs.
//   node examples/work-queue/consumer.mjs [--exchange telemetry] [--queue telemetry-work] [--binding '#']
//                                         [--count N] [--work MS]
//   The broker is AMQP_URL; EXCHANGE, QUEUE and BINDING_KEY set the others too. --work is how long the work of
//   one message takes: with 60000, kill a copy in it and see another get the message.
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { env } = process;
const { values } = parseArgs({
  options: {
    exchange: { type: 'string', default: env.EXCHANGE ?? 'telemetry' },
    queue: { type: 'string', default: env.QUEUE ?? 'telemetry-work' },
    binding: { type: 'string', default: env.BINDING_KEY ?? '#' },
    count: { type: 'string', default: 'Infinity' }, // stop after so many messages
    work: { type: 'string', default: '0' },
  },
});
let [started, finished] = [0, 0];

// A lost connection ends the process: let systemd or the like start it again.
const connection = await connect(env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.assertExchange(values.exchange, 'topic', { durable: true });
// As in config.yaml, so that either side may come first. It must be the same there, or the second is refused (406).
await channel.assertQueue(values.queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
await channel.bindQueue(values.queue, values.exchange, values.binding);
await channel.prefetch(50); // at most so many unfinished here; the others are for the other copies
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  if (++started <= Number(values.count)) handle(message);
});
console.error(`consuming ${values.queue}`);

async function handle(message) {
  const { messageId } = message.properties;
  try {
    console.error(
      `working on ${messageId}${message.fields.redelivered ? ', not for the first time' : ''}`,
    );
    const reading = JSON.parse(message.content);
    // The work. A message may come twice, with the same message-id: stored under it, twice does no harm.
    await delay(Number(values.work));
    console.log(JSON.stringify({ messageId, reading }));
    channel.ack(message); // only after the work: whatever happens before, the message is not lost
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // ends the process; the message goes back
    // Bad JSON, requeued, would come for ever. This sends it to the queue's dead letter exchange, or to
    // nowhere if the queue has none: give it one to keep such messages.
    console.error(`rejected ${messageId}: ${error.message}`);
    channel.nack(message, false, false);
  }
  if (++finished < Number(values.count)) return;
  await channel.close(); // before the connection, or the last acknowledgements stay unsent
  await connection.close();
}
