/** A process of its own: `node --import tsx load-process.ts JSON`. It says one JSON line each, and takes `go` and `stop`. */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Filler } from './filler.ts';
import { Histogram } from './histogram.ts';
import { LoadClient } from './load-client.ts';
import type { LoadOptions, LoadResult } from './load-options.ts';

const PROGRESS_EVERY_MS = 100;
const TICK_MS = 1;
const MS_PER_SECOND = 1000;
const US_PER_SECOND = 1_000_000;
const DEFAULTS = {
  clientPrefix: 'c',
  warmUpMs: 0,
  topic: 'devices/{client}/telemetry/bench',
  topics: 1,
  connectPerSecond: 2_000,
};

const options: typeof DEFAULTS & LoadOptions = {
  ...DEFAULTS,
  ...(JSON.parse(process.argv[2] ?? '{}') as LoadOptions),
};
const { messages = Number.POSITIVE_INFINITY, durationMs = Number.POSITIVE_INFINITY } = options;
const histogram = new Histogram();
const clients: LoadClient[] = [];
let goAtMs = Number.POSITIVE_INFINITY;
let lastPubackAtMs = 0;
let acknowledged = 0;
const filler = new Filler();
let sent = 0;
let ended = false;
let finished = false;
/** Due times of messages that wait for room, by client. */
const due: number[][] = [];

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function fail(reason: string): never {
  say({ event: 'failed', reason });
  process.exit(1);
}

function clientAt(index: number): LoadClient {
  const clientId = `${options.clientPrefix}${index + 1}`;
  const topics = Array.from({ length: options.topics }, (_, n) =>
    options.topic.replace('{client}', clientId).replace('{n}', `${n}`),
  );
  return new LoadClient({
    port: options.port,
    clientId,
    window: options.window,
    payloadBytes: options.payloadBytes,
    topics,
    filler,
    onPuback: (sinceMs) => {
      const now = performance.now();
      lastPubackAtMs = now;
      acknowledged += 1;
      if (sinceMs >= goAtMs + options.warmUpMs) histogram.add(now - sinceMs);
      if (moved.size === 0) queueMicrotask(refill);
      moved.add(index);
    },
  });
}

/** Clients with room again, since the last refill. */
const moved = new Set<number>();

/** Messages of one read are answered by one write. */
function refill(): void {
  const indexes = [...moved];
  moved.clear();
  for (const index of indexes) publishFrom(index);
  endIfDone();
}

function mayPublish(): boolean {
  return !ended && sent < messages && performance.now() - goAtMs < durationMs;
}

function publishFrom(index: number): void {
  const client = clients[index];
  if (client === undefined) return;
  if (options.ratePerSecond !== undefined) {
    const waiting = due[index] ?? [];
    const now = waiting.splice(0, client.room);
    if (now.length > 0) client.publish(now.length, (place) => now[place] ?? 0);
    return;
  }
  const count = mayPublish() ? Math.min(client.room, quotaOf(index) - client.sent) : 0;
  if (count <= 0) return;
  sent += count;
  const now = performance.now();
  client.publish(count, () => now);
}

/** Spread evenly: the first clients get what does not divide. */
function quotaOf(index: number): number {
  if (messages === Number.POSITIVE_INFINITY) return messages;
  const share = Math.floor(messages / options.clients);
  return index < messages % options.clients ? share + 1 : share;
}

async function pace(ratePerSecond: number): Promise<void> {
  while (mayPublish()) {
    const now = performance.now();
    const target = Math.min(messages, ((now - goAtMs) * ratePerSecond) / MS_PER_SECOND);
    for (; sent < target; sent += 1) {
      const index = sent % options.clients;
      due[index]?.push(goAtMs + (sent * MS_PER_SECOND) / ratePerSecond);
      moved.add(index);
    }
    for (const index of moved) publishFrom(index);
    moved.clear();
    await delay(TICK_MS);
  }
  endIfDone();
}

function endIfDone(): void {
  if (goAtMs === Number.POSITIVE_INFINITY || acknowledged < sent) return;
  if (messages > 0 && !mayPublish()) finish();
}

function finish(): void {
  if (finished) return;
  finished = true;
  const seconds = (lastPubackAtMs - goAtMs) / MS_PER_SECOND;
  const cpu = process.cpuUsage(cpuAtGo);
  const by = (count: (client: LoadClient) => number): Record<string, number> =>
    Object.fromEntries(
      clients.map((client, at) => [`${options.clientPrefix}${at + 1}`, count(client)]),
    );
  const sum = (count: (client: LoadClient) => number): number =>
    clients.reduce((total, client) => total + count(client), 0);
  const result: LoadResult = {
    sent: sum((client) => client.sent),
    acknowledged,
    seconds,
    perSecond: acknowledged / seconds,
    pubackMs: histogram.summary(),
    firstPublishAtMs: performance.timeOrigin + goAtMs,
    lastPubackAtMs: performance.timeOrigin + lastPubackAtMs,
    outOfOrder: sum((client) => client.outOfOrder),
    notDue: sum((client) => client.notDue),
    cpuSeconds: (cpu.user + cpu.system) / US_PER_SECOND,
    acknowledgedBy: by((client) => client.acknowledged),
    sentBy: by((client) => client.sent),
  };
  for (const client of clients) client.close();
  process.stdout.write(`${JSON.stringify({ event: 'done', result })}\n`, () => process.exit(0));
}

async function connectAll(): Promise<void> {
  const opening: Promise<void>[] = [];
  const startedAtMs = performance.now();
  for (let index = 0; index < options.clients; index += 1) {
    const client = clientAt(index);
    clients.push(client);
    due.push([]);
    opening.push(client.open((reason) => fail(`${options.clientPrefix}${index + 1}: ${reason}`)));
    const aheadMs = (opening.length * MS_PER_SECOND) / options.connectPerSecond;
    const waitMs = aheadMs - (performance.now() - startedAtMs);
    if (waitMs > TICK_MS) await delay(waitMs);
  }
  await Promise.all(opening);
}

let cpuAtGo = process.cpuUsage();

function go(): void {
  cpuAtGo = process.cpuUsage();
  goAtMs = performance.now();
  if (options.ratePerSecond !== undefined) {
    pace(options.ratePerSecond).catch((error: unknown) => fail(String(error)));
    return;
  }
  if (durationMs !== Number.POSITIVE_INFINITY) setTimeout(endIfDone, durationMs + TICK_MS);
  for (const index of clients.keys()) publishFrom(index);
}

createInterface({ input: process.stdin }).on('line', (command) => {
  if (command === 'go') go();
  if (command === 'stop') {
    ended = true;
    if (acknowledged >= sent) finish();
  }
  if (command === 'abandon') finish();
});
try {
  await connectAll();
  say({ event: 'connected' });
  setInterval(() => say({ event: 'progress', acknowledged }), PROGRESS_EVERY_MS);
} catch (error) {
  fail(String(error));
}
