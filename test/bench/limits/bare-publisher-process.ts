/** amqplib and nothing else: publishes the messages of the load process with confirms. Says JSON lines, takes `go`. */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { Filler } from '../filler.ts';
import { Histogram } from '../histogram.ts';
import type { BarePublisherOptions, BarePublisherResult } from './bare-publisher.ts';

const CLIENTS = 20;
const TICK_MS = 1;
const MS_PER_SECOND = 1000;
const US_PER_SECOND = 1_000_000;
/** As the gateway's, which has another at each start. */
const RUN = '6f1e0b8a92c4d7e5';

const options = JSON.parse(process.argv[2] ?? '{}') as BarePublisherOptions;
const { url, exchange, messages, payloadBytes, window, ratePerSecond, warmUpMs = 0 } = options;
const model = await connect(url, { noDelay: true });
const channel = await model.createConfirmChannel();
const histogram = new Histogram();
const filler = new Filler();
let sent = 0;
let confirmed = 0;
let goAtMs = 0;
let cpuAtGo = process.cpuUsage();

/** The headers are those that the gateway sets, so that both encode and send the same. */
function publish(sinceMs: number): void {
  const client = `c${(sent % CLIENTS) + 1}`;
  const counter = Math.floor(sent / CLIENTS) + 1;
  sent += 1;
  const payload = Buffer.allocUnsafe(payloadBytes);
  filler.fill(payload, payload.write(`${client} ${counter} `), payloadBytes);
  channel.publish(
    exchange,
    `devices.${client}.telemetry.bench`,
    payload,
    {
      persistent: true,
      mandatory: true,
      messageId: `bench/telemetry/1-${RUN}.${sent}`,
      timestamp: Math.floor(Date.now() / MS_PER_SECOND),
      appId: 'tidegate',
      headers: {
        'x-mqtt-topic': `devices/${client}/telemetry/bench`,
        'x-mqtt-publish-qos': 1,
        'x-mqtt-dup': false,
        'x-mqtt-retain': false,
        'x-client-id': client,
        'x-gateway-id': 'bench',
        'x-lane': 'telemetry',
        'x-epoch': 1,
        'x-run': RUN,
        'x-seq': sent,
        'x-received-at': Date.now(),
        'x-backlog': false,
      },
    },
    (error: unknown) => {
      if (error !== null && error !== undefined) throw error;
      confirmed += 1;
      if (sinceMs >= goAtMs + warmUpMs) histogram.add(performance.now() - sinceMs);
      if (ratePerSecond === undefined) fill();
      if (confirmed === messages) finish();
    },
  );
}

function fill(): void {
  while (sent < messages && sent - confirmed < window) publish(performance.now());
}

/** Latency counts from the moment a message is due, as in the load process. */
async function pace(perSecond: number): Promise<void> {
  while (sent < messages) {
    const target = Math.min(messages, ((performance.now() - goAtMs) * perSecond) / MS_PER_SECOND);
    while (sent < target) publish(goAtMs + (sent * MS_PER_SECOND) / perSecond);
    await delay(TICK_MS);
  }
}

function finish(): void {
  const now = performance.now();
  const cpu = process.cpuUsage(cpuAtGo);
  const result: BarePublisherResult = {
    seconds: (now - goAtMs) / MS_PER_SECOND,
    firstPublishAtMs: performance.timeOrigin + goAtMs,
    cpuSeconds: (cpu.user + cpu.system) / US_PER_SECOND,
    confirmMs: histogram.summary(),
    sentBy: Object.fromEntries(
      Array.from({ length: CLIENTS }, (_, at) => [
        `c${at + 1}`,
        Math.floor(messages / CLIENTS) + (at < messages % CLIENTS ? 1 : 0),
      ]),
    ),
  };
  process.stdout.write(`${JSON.stringify({ event: 'done', result })}\n`, () => process.exit(0));
}

createInterface({ input: process.stdin }).on('line', () => {
  cpuAtGo = process.cpuUsage();
  goAtMs = performance.now();
  if (ratePerSecond === undefined) fill();
  else void pace(ratePerSecond);
});
process.stdout.write(`${JSON.stringify({ event: 'connected' })}\n`);
