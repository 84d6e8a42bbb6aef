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
const accounts = new Map(); // one for each run of a gateway
const latest = new Map(); // of each gateway, the account of the run that began last
const gaps = []; // what was named

// Neither epoch nor run tells a run alone: a store that was put back counts an epoch again, and 0.1.0 gave no run.
function account(gateway, epoch, run) {
  const key = `${gateway}/${values.lane}/${run ? `${epoch}-${run}` : epoch}`; // as its message-ids begin
  const fresh = { key, gateway, epoch, run, delivered: new Set(), last: 0, end: undefined };
  if (!accounts.has(key)) accounts.set(key, fresh);
  return accounts.get(key);
}

function takeMessage({ properties: { headers } }) {
  if (headers['x-lane'] !== values.lane) return;
  const its = account(headers['x-gateway-id'], headers['x-epoch'], headers['x-run']);
  const seq = headers['x-seq'];
  if (its.delivered.has(seq)) return; // again: same message-id, the work is done
  // Not by the epoch: that of a store that was put back is lower.
  if (its.delivered.size === 0 && its.end === undefined) latest.set(its.gateway, its);
  its.delivered.add(seq); // here goes the work
  its.last = Math.max(its.last, seq);
}

function takeEvent({ properties: { headers }, content }) {
  const gateway = headers['x-gateway-id'];
  const event = JSON.parse(content);
  if (event.event === 'epoch-ended') account(gateway, event.epoch, event.run).end = event;
  if (event.event !== 'gap' || event.lane !== values.lane) return;
  const { epoch, run, fromSeq = 1, toEpoch, toRun, toSeq = Infinity } = event;
  if (epoch === undefined && toEpoch === undefined) return; // damage has left nothing to tell where
  const [begin, end] = [
    { epoch, run },
    { epoch: toEpoch, run: toRun },
  ];
  const [from, to] = [epoch === undefined ? end : begin, toEpoch === undefined ? begin : end];
  gaps.push({ gateway, from: { ...from, seq: fromSeq }, to: { ...to, seq: toSeq } });
  account(gateway, from.epoch, from.run);
  const its = account(gateway, to.epoch, to.run);
  if (toSeq < Infinity) its.last = Math.max(its.last, toSeq);
}

// Both ends belong to a gap, and all epochs between them.
function names({ gateway, from, to }, its, seq) {
  if (gateway !== its.gateway || its.epoch < from.epoch || its.epoch > to.epoch) return false;
  if (its.epoch === from.epoch && (its.run !== from.run || seq < from.seq)) return false;
  return its.epoch !== to.epoch || (its.run === to.run && seq <= to.seq);
}

function report() {
  for (const its of accounts.values()) {
    const { key, gateway, epoch, delivered, last, end } = its;
    const current = latest.get(gateway) ?? its;
    // A run whose end nobody told, with another begun since, has crashed as well.
    const crashed = end ? !end.clean : its !== current && epoch <= current.epoch;
    const until = end?.lastSeqs?.[values.lane] ?? last;
    const [missing, unacknowledged] = [[], []];
    let gone = 0;
    for (let seq = 1; seq <= until; seq++) {
      if (delivered.has(seq)) continue;
      if (gaps.some((gap) => names(gap, its, seq))) gone++;
      // What was in flight when it crashed was not acknowledged yet: the device sends it again, as a new one.
      else (crashed && seq > until - Number(values.window) ? unacknowledged : missing).push(seq);
    }
    const state = crashed ? 'crashed' : end ? 'ended' : 'running';
    const counts = { until, delivered: delivered.size, named: gone };
    console.log(JSON.stringify({ run: key, state, ...counts, missing, unacknowledged }));
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
