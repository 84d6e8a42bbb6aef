// Pattern: completeness. Takes the messages of one lane, each once, and the gap manifest, and tells what is missing.
// The account is in memory here; keep yours in the database, in one transaction with the work.
//   node examples/complete-consumer.mjs [--exchange telemetry] [--queue telemetry-complete] [--lane telemetry]
//                                       [--gaps tidegate.gaps] [--window 1000] [--quiet MS] [--once]
//   It reports when nothing has come for --quiet, once or each time. --window is delivery.window.maxMessages.
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';

const { values } = parseArgs({
  options: {
    exchange: { type: 'string', default: process.env.EXCHANGE ?? 'telemetry' },
    queue: { type: 'string', default: process.env.QUEUE ?? 'telemetry-complete' },
    lane: { type: 'string', default: 'telemetry' },
    gaps: { type: 'string', default: 'tidegate.gaps' },
    window: { type: 'string', default: '1000' },
    quiet: { type: 'string', default: '10000' },
    once: { type: 'boolean', default: false },
  },
});
const accounts = new Map(); // one for each gateway and epoch
const newest = new Map(); // the highest epoch of each gateway

function account(gateway, epoch) {
  const key = `${gateway}/${values.lane}/${epoch}`;
  newest.set(gateway, Math.max(epoch, newest.get(gateway) ?? 0));
  const fresh = { key, gateway, epoch, delivered: new Set(), named: [], last: 0, end: undefined };
  if (!accounts.has(key)) accounts.set(key, fresh);
  return accounts.get(key);
}

function takeMessage({ properties: { headers } }) {
  if (headers['x-lane'] !== values.lane) return;
  const its = account(headers['x-gateway-id'], headers['x-epoch']);
  const seq = headers['x-seq'];
  if (its.delivered.has(seq)) return; // again: same message-id, the work is done
  its.delivered.add(seq); // here goes the work
  its.last = Math.max(its.last, seq);
}

function takeEvent({ properties: { headers }, content }) {
  const gateway = headers['x-gateway-id'];
  const event = JSON.parse(content);
  if (event.event === 'epoch-ended') account(gateway, event.epoch).end = event;
  if (event.event !== 'gap' || event.lane !== values.lane) return;
  const { epoch = event.toEpoch, toEpoch = epoch, fromSeq = 1, toSeq = Infinity } = event;
  for (let each = epoch; each <= toEpoch; each++) {
    const [from, to] = [each === epoch ? fromSeq : 1, each === toEpoch ? toSeq : Infinity];
    const its = account(gateway, each);
    its.named.push([from, to]);
    if (to < Infinity) its.last = Math.max(its.last, to);
  }
}

function report() {
  for (const { key, gateway, epoch, delivered, named, last, end } of accounts.values()) {
    // An epoch whose end nobody told, with a later one behind it, has crashed as well.
    const crashed = end ? !end.clean : epoch < newest.get(gateway);
    const until = end?.lastSeqs?.[values.lane] ?? last;
    const [missing, unacknowledged] = [[], []];
    let gone = 0;
    for (let seq = 1; seq <= until; seq++) {
      if (delivered.has(seq)) continue;
      if (named.some(([from, to]) => from <= seq && seq <= to)) gone++;
      // What was in flight when it crashed was not acknowledged yet: the device sends it again, as a new one.
      else (crashed && seq > until - Number(values.window) ? unacknowledged : missing).push(seq);
    }
    const state = crashed ? 'crashed' : end ? 'ended' : 'running';
    const counts = { until, delivered: delivered.size, named: gone };
    console.log(JSON.stringify({ epoch: key, state, ...counts, missing, unacknowledged }));
  }
  if (values.once) channel.close().then(() => connection.close());
  else timer = setTimeout(report, Number(values.quiet));
}

const connection = await connect(process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672');
const channel = await connection.createChannel();
let timer = setTimeout(report, Number(values.quiet));
await channel.prefetch(500);
for (const [exchange, queue, take] of [
  [values.exchange, values.queue, takeMessage],
  [values.gaps, `${values.queue}-gaps`, takeEvent],
]) {
  await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.bindQueue(queue, exchange, '#'); // before the devices send, or the first are missing
  await channel.consume(queue, (message) => {
    if (message === null) process.exit(1); // the queue was deleted
    take(message);
    channel.ack(message);
    timer.refresh();
  });
}
console.error(`consuming ${values.queue}`);
