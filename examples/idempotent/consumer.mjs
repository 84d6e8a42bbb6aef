// Pattern: idempotent consumer. A message may come twice; what it does is done once, also when this process is
// killed in the midst of it. The effect here is a line in a file, and the line has the message-id in it, so that
// both are there or neither. In a database: one transaction, and the message-id in a column with a unique key.
//   node examples/idempotent/consumer.mjs [--queue meters] [--file counts.jsonl] [--remember 1000000]
//   The broker is AMQP_URL. The queue is there once the gateway has run with config.yaml. One process to a file.
import { existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({
  options: {
    queue: { type: 'string', default: 'meters' },
    file: { type: 'string', default: 'counts.jsonl' },
    // Most ids in memory, about 100 bytes each. An older message would be done again: make it as many as can
    // wait in a gateway through an outage.
    remember: { type: 'string', default: '1000000' },
  },
});
const done = new Set(); // in order of arrival

function remember(messageId) {
  done.add(messageId);
  if (done.size > Number(values.remember)) done.delete(done.values().next().value);
}

const written = existsSync(values.file) ? readFileSync(values.file) : Buffer.alloc(0);
const file = openSync(values.file, 'a');
const whole = written.subarray(0, written.lastIndexOf('\n') + 1);
ftruncateSync(file, whole.length); // half a line, from a crash: its message was not acknowledged
for (const line of whole.toString().split('\n').filter(Boolean))
  remember(JSON.parse(line).messageId);

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
await channel.prefetch(50);
await channel.consume(values.queue, (message) => {
  if (message === null) process.exit(1); // the queue was deleted
  const { messageId } = message.properties;
  if (done.has(messageId)) console.log(`again ${messageId}`);
  else {
    writeSync(file, `${JSON.stringify({ messageId, count: message.content.toString() })}\n`);
    fsyncSync(file);
    remember(messageId);
    console.log(`done ${messageId}`);
  }
  channel.ack(message); // now, and for what came again too, or it would come for ever
});
console.error(`consuming ${values.queue}`);
