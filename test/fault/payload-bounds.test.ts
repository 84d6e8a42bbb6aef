import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { MqttClient } from 'mqtt';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { createPayloadBench, type PayloadBench } from '../helpers/payload-bench.ts';

const PATIENCE = { withinMs: 90_000, everyMs: 100 };
/** What payloads that never come to an end may make the device of another lane wait for its PUBACK. */
const MAX_PUBACK_P99_MS = 250;
/** Messages of a round to each lane that gets bad ones, and rounds. */
const ROUND = 150;
const MOST_ROUNDS = 5;

const isBad = (n: number): boolean => n % 30 === 29;
const CATASTROPHIC = `${'a'.repeat(60)}!`;

const MAPPINGS = {
  plain: {},
  checked: { when: 'n >= 0', transform: '{ "n": n, "of": $capture.device }' },
  loops: { when: 'bad ? ($f := function($x) { $f($x + 1) }; $f(1)) : true' },
  pattern: { payload: { schema: { properties: { text: { pattern: '^(a+)+$' } } } } },
};

/** Publishes with a window, like a device that has much to say, and writes down how long each PUBACK took. */
class Sender {
  readonly #latenciesMs: number[] = [];
  readonly #device: MqttClient;
  readonly #topic: string;

  constructor(device: MqttClient, topic: string) {
    this.#device = device;
    this.#topic = topic;
  }

  async send(content: object): Promise<void> {
    const startedAtMs = performance.now();
    await this.#device.publishAsync(this.#topic, JSON.stringify(content), { qos: 1 });
    this.#latenciesMs.push(performance.now() - startedAtMs);
  }

  /** Sends `count` messages, at most `window` without PUBACK. */
  async sendAll(count: number, window: number, content: (n: number) => object): Promise<void> {
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < count) {
        const n = next;
        next += 1;
        await this.send(content(n));
      }
    };
    await Promise.all(Array.from({ length: window }, work));
  }

  /** Of the PUBACKs since it was asked last. */
  takeP99Ms(): number {
    const sorted = this.#latenciesMs.splice(0).sort((a, b) => a - b);
    return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN);
  }
}

async function senderTo(bench: PayloadBench, name: string): Promise<Sender> {
  return new Sender(await bench.device(name), `${name}/d1/value`);
}

/** A steady device, until it is told that it is enough. Counts from `first`, and resolves with what comes next. */
async function sendSteadily(sender: Sender, isEnough: () => boolean, first = 0): Promise<number> {
  const everyMs = 10;
  let n = first;
  const startedAtMs = performance.now();
  const sends: Promise<void>[] = [];
  while (!isEnough()) {
    for (; n - first < (performance.now() - startedAtMs) / everyMs; n += 1)
      sends.push(sender.send({ n }));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  await Promise.all(sends);
  return n;
}

const numbersOf = (bench: PayloadBench, name: string): number[] =>
  bench.bodies(name).map((body) => (JSON.parse(body) as { n: number }).n);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Senders by the mapping they send to, with the number each of its next message has. */
class Traffic {
  readonly sent = { loops: 0, pattern: 0, plain: 0, checked: 0 };
  readonly #senders: Readonly<Record<keyof typeof MAPPINGS, Sender>>;

  constructor(senders: Readonly<Record<keyof typeof MAPPINGS, Sender>>) {
    this.#senders = senders;
  }

  /** Sends bad payloads among good ones to two of them, and resolves with the PUBACK p99 of the other two. */
  async round(): Promise<number> {
    const { loops, pattern, plain, checked } = this.#senders;
    const { sent } = this;
    let isDone = false;
    const steady = [
      sendSteadily(plain, () => isDone, sent.plain),
      sendSteadily(checked, () => isDone, sent.checked),
    ] as const;
    await Promise.all([
      loops.sendAll(ROUND, 50, (n) => ({ n: sent.loops + n, bad: isBad(sent.loops + n) })),
      pattern.sendAll(ROUND, 50, (n) => ({
        n: sent.pattern + n,
        text: isBad(sent.pattern + n) ? CATASTROPHIC : 'a',
      })),
    ]);
    isDone = true;
    sent.loops += ROUND;
    sent.pattern += ROUND;
    [sent.plain, sent.checked] = await Promise.all(steady);
    return Math.max(plain.takeP99Ms(), checked.takeP99Ms());
  }
}

async function startTraffic(bench: PayloadBench): Promise<Traffic> {
  const [plain, checked] = [await senderTo(bench, 'plain'), await senderTo(bench, 'checked')];
  const [loops, pattern] = [await senderTo(bench, 'loops'), await senderTo(bench, 'pattern')];
  await checked.send({ n: -1 }); // its process is there; the message is filtered
  return new Traffic({ plain, checked, loops, pattern });
}

test('payloads that loop for ever are parked, and no other lane waits for them', async () => {
  const bench = await createPayloadBench();
  const gateway = await bench.start(MAPPINGS);
  const traffic = await startTraffic(bench);
  const p99sMs: number[] = [];
  // What else runs on this machine can only make it worse: one round that holds is the proof.
  do p99sMs.push(await traffic.round());
  while (Math.min(...p99sMs) >= MAX_PUBACK_P99_MS && p99sMs.length < MOST_ROUNDS);

  const { sent } = traffic;
  const good = upTo(sent.loops).filter((n) => !isBad(n));
  const bad = sent.loops - good.length;
  await eventually(async () => {
    expect(await bench.parked('loops')).toBe(bad);
    expect(await bench.parked('pattern')).toBe(bad);
    expect(numbersOf(bench, 'loops')).toEqual(good);
    expect(numbersOf(bench, 'pattern')).toEqual(good);
    expect(numbersOf(bench, 'plain')).toEqual(upTo(sent.plain));
    expect(numbersOf(bench, 'checked')).toEqual(upTo(sent.checked));
  }, PATIENCE);
  expect(await bench.refused('payload_timeout')).toBe(2 * bad);
  expect(await bench.refused('filtered')).toBe(1);
  const rssMiB = Math.round((await gateway.rssBytes()) / 1024 ** 2);
  console.info(JSON.stringify({ bad: 2 * bad, sent, p99sMs, rssMiB }));
  expect(Math.min(...p99sMs)).toBeLessThan(MAX_PUBACK_P99_MS);
});

test('a payload that makes an expression take all memory is parked, and the gateway lives', async () => {
  const bench = await createPayloadBench();
  const transform = '{ "n": n, "size": $length($pad("", size)) }';
  const gateway = await bench.start({ grows: { transform, payload: { timeoutMs: 10_000 } } });
  const sender = await senderTo(bench, 'grows');
  await sender.sendAll(20, 20, (n) => ({ n, size: n === 7 ? 500_000_000 : 1 }));
  await eventually(async () => {
    expect(await bench.parked('grows')).toBe(1);
    expect(numbersOf(bench, 'grows')).toEqual(upTo(20).filter((n) => n !== 7));
  }, PATIENCE);
  expect(await bench.refused('payload_crashed')).toBe(1);
  expect(await gateway.stop()).toBe(0);
});

test('a loop keeps no gateway from stopping, and does not outlive one that is killed', async () => {
  const bench = await createPayloadBench();
  const endless = { loops: { ...MAPPINGS.loops, payload: { timeoutMs: 60_000 } } };
  const sections = { shutdown: { timeoutMs: 500 } };
  const killed = await bench.start(endless, sections);
  const device = await bench.device('stuck');
  device.publish('loops/d1/value', '{"n":1,"bad":true}', { qos: 1 });
  const orphan = await eventually(() => busyChildOf(killed.pid), PATIENCE);
  await killed.kill();
  await eventually(() => expect(existsSync(`/proc/${orphan}`)).toBe(false), PATIENCE);

  const stopped = await bench.start(endless, sections);
  await eventually(() => busyChildOf(stopped.pid), PATIENCE); // the device has sent it again
  expect(await stopped.stop()).toBe(0);

  await bench.start({ loops: MAPPINGS.loops });
  await eventually(async () => expect(await bench.parked('loops')).toBe(1), PATIENCE);
});

test('what waits behind a loop is bounded: more is refused, and other lanes go on', async () => {
  const bench = await createPayloadBench();
  const sections = { mqtt: { maxPendingBytes: 1_048_576, maxPayloadBytes: 16_384 } };
  const endless = { ...MAPPINGS.loops, payload: { timeoutMs: 60_000 } };
  const gateway = await bench.start({ loops: endless, plain: {} }, sections);
  const plain = await senderTo(bench, 'plain');
  const padding = 'x'.repeat(10_000);
  const rssBefore = await gateway.rssBytes();
  for (let n = 0; n < 20; n += 1) {
    const device = await bench.device(`loops-${n}`);
    device.on('error', () => undefined);
    for (let m = 0; m < 20; m += 1) {
      device.publish('loops/d1/value', JSON.stringify({ bad: true, padding }), { qos: 1 });
    }
  }
  const pending = async (): Promise<number> =>
    (await bench.metrics()).get('tidegate_ingest_pending_bytes') ?? 0;
  await eventually(
    async () => expect(await bench.refused('overloaded')).toBeGreaterThan(20),
    PATIENCE,
  );
  for (let n = 0; n < 100; n += 1) await plain.send({ n });
  expect(await pending()).toBeLessThan(800_000); // half of it, and what is behind that in one read of a socket
  expect((await gateway.rssBytes()) - rssBefore).toBeLessThan(100 * 1024 ** 2);
  await eventually(() => expect(numbersOf(bench, 'plain')).toEqual(upTo(100)), PATIENCE);
});

/** A child process of this one that has computed for longer than it takes to start. Throws when there is none. */
async function busyChildOf(pid: number): Promise<number> {
  const busyTicks = 100; // of 10 ms, proc(5)
  for (const child of (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ')) {
    if (child === '') continue;
    const stat = await readFile(`/proc/${child}/stat`, 'utf8');
    if (Number(stat.slice(stat.lastIndexOf(')')).split(' ')[12]) > busyTicks) return Number(child);
  }
  throw new Error('no child is busy');
}
