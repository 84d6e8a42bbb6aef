import { randomBytes, randomUUID } from 'node:crypto';
import { type Channel, type ConsumeMessage, connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { type FalseClock, falseClock } from '../helpers/false-clock.ts';
import { freePort } from '../helpers/free-port.ts';
import type { RabbitNode } from '../helpers/rabbitmq-node.ts';
import { type MetricValues, scrape } from '../helpers/scrape.ts';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { CombinationsAccount } from './combinations-account.ts';
import {
  COPY,
  configOf,
  EXTRA,
  GAPS,
  hasExtra,
  LANES,
  OTHER,
  TELEMETRY,
} from './combinations-config.ts';
import { connectPacedDevice, type PacedDevice } from './combinations-device.ts';
import { KeptGateway } from './combinations-gateway.ts';
import type { Plan } from './combinations-plan.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

const DEVICES = 4;
const MESSAGES_PER_SECOND = 60;
const WINDOW = 40;
/** LevelDB begins a new log every 4 MiB: with messages of this size it does so every few seconds. */
const PADDING = randomBytes(1_200).toString('base64');
/** One of so many goes to another lane than the others, alone. */
const OTHER_EVERY = 4;
const MARKER = 'marker';
const MARKER_LIMIT_MS = 20_000;

/** Parts that a plan needs and the test makes. */
interface SiteParts {
  readonly plan: Plan;
  readonly node: RabbitNode;
  readonly disk: SmallDisk;
  readonly clock: FalseClock;
  readonly proxy: TcpProxy;
  readonly operator: Channel;
  readonly id: string;
  readonly ports: { readonly mqtt: number; readonly admin: number };
  readonly dir: string;
}

/** A gateway of several lanes under load, with all that a plan can make fail. */
export class CombinationsSite {
  readonly plan: Plan;
  readonly node: RabbitNode;
  readonly disk: SmallDisk;
  readonly clock: FalseClock;
  /** The uplink. */
  readonly proxy: TcpProxy;
  /** Past the gateway and the proxy. */
  readonly operator: Channel;
  readonly account: CombinationsAccount = new CombinationsAccount([...LANES, EXTRA]);
  readonly gateway: KeptGateway;
  readonly devices: PacedDevice[] = [];
  /** The config it begins with. */
  readonly original: object;
  isDiskFull = false;
  /** Calls of the gateway that strace has made to fail. */
  failedCalls = 0;
  readonly #parts: SiteParts;
  /** Since when the mapping that comes and goes is there for certain. */
  #extraSinceMs = Number.POSITIVE_INFINITY;
  #seenMarkers = 0;

  constructor(parts: SiteParts) {
    this.#parts = parts;
    const { plan, node, disk, clock, proxy, operator, dir, ports, id } = parts;
    [this.plan, this.node, this.disk, this.clock] = [plan, node, disk, clock];
    [this.proxy, this.operator] = [proxy, operator];
    const kinds = new Set(plan.rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    const url = new URL(node.url);
    url.port = String(proxy.port);
    const store = `${disk.folder}/store`;
    this.original = configOf({ id, plan, amqpUrl: url.href, store, ...ports });
    this.gateway = new KeptGateway({
      dir,
      config: this.original,
      env: {
        // strace counts for each thread, and a look at a clock that can be set costs time.
        ...(kinds.has('failing-write') ? { UV_THREADPOOL_SIZE: '1' } : {}),
        ...(kinds.has('clock') ? clock.start.env : {}),
      },
      isStartExcused: () => this.isDiskFull,
      onReload: (config) => {
        if (!hasExtra(config)) this.#extraSinceMs = Number.POSITIVE_INFINITY;
      },
      onDown: () => {
        this.#extraSinceMs = Number.POSITIVE_INFINITY;
      },
      onUp: (config) => {
        if (hasExtra(config)) this.#extraSinceMs = Math.min(this.#extraSinceMs, performance.now());
      },
    });
  }

  get storeDir(): string {
    return `${this.disk.folder}/store`;
  }

  queueOf(lane: string): string {
    return `${this.#parts.id}-${lane}`;
  }

  async begin(): Promise<void> {
    await this.gateway.start();
    for (const lane of [...LANES, EXTRA]) {
      this.#consume(this.queueOf(lane), (message) => this.account.delivered(message));
    }
    this.#consume(this.queueOf(GAPS), (message) => this.account.told(message));
    for (let number = 1; number <= DEVICES; number++) {
      this.devices.push(await this.#connect(`device-${number}`, number === DEVICES ? 2 : 1));
    }
    for (const device of this.devices) device.resume();
  }

  metrics(): Promise<MetricValues> {
    return scrape(this.#parts.ports.admin);
  }

  /** Asks the gateway to put back what the lane has parked; does nothing when it is down. */
  async release(lane: string): Promise<void> {
    const url = `http://127.0.0.1:${this.#parts.ports.admin}/api/parked/release?lane=${lane}`;
    await fetch(url, { method: 'POST' }).catch(() => undefined);
  }

  /** Resolves when the consumers have been given all that is in the queues now. */
  async consumed(): Promise<void> {
    const queues = [...LANES, EXTRA, GAPS].map((lane) => this.queueOf(lane));
    const expected = this.#seenMarkers + queues.length;
    // A queue is first in, first out: all that is there before the marker is delivered before it.
    for (const queue of queues) {
      this.operator.sendToQueue(queue, Buffer.alloc(0), { type: MARKER });
    }
    await eventually(
      () => {
        if (this.#seenMarkers < expected) throw new Error('the queues are not consumed');
      },
      { withinMs: MARKER_LIMIT_MS },
    );
  }

  #consume(queue: string, onMessage: (message: ConsumeMessage) => void): void {
    const consumer = consumeAll({
      url: this.node.url,
      queue,
      onMessage: (message) => {
        if (message.properties.type === MARKER) this.#seenMarkers += 1;
        else onMessage(message);
      },
    });
    onTestFinished(() => consumer.close());
  }

  #connect(name: string, qos: 1 | 2): Promise<PacedDevice> {
    const isOther = (counter: number): boolean => counter % OTHER_EVERY === 0;
    const lanesOf = (counter: number): string[] => (isOther(counter) ? [OTHER] : [TELEMETRY, COPY]);
    return connectPacedDevice({
      port: this.#parts.ports.mqtt,
      name,
      qos,
      messagesPerSecond: MESSAGES_PER_SECOND,
      window: WINDOW,
      padding: PADDING,
      topicOf: (counter) => (isOther(counter) ? OTHER : TELEMETRY),
      onAttempted: (counter) => {
        const extra = isOther(counter) ? [] : [EXTRA];
        this.account.attempted(name, counter, [...lanesOf(counter), ...extra]);
      },
      onAcknowledged: (counter) => {
        const isInExtra =
          !isOther(counter) && this.account.attemptMs(name, counter) > this.#extraSinceMs;
        const extra = isInExtra ? [EXTRA] : [];
        this.account.acknowledged(name, counter, [...lanesOf(counter), ...extra]);
      },
    });
  }
}

/** Makes what the plan needs; the gateway does not run yet. All of it is gone when the test has finished. */
export async function createCombinationsSite(
  plan: Plan,
  node: RabbitNode,
): Promise<CombinationsSite> {
  const disk = await mountSmallDisk();
  const clock = await falseClock();
  const proxy = await startTcpProxy({ targetPort: node.port });
  onTestFinished(() => proxy.close());
  const connection = await connect(node.url);
  connection.on('error', () => undefined);
  onTestFinished(() => connection.close().catch(() => undefined));
  const operator = await connection.createChannel();
  const ports = { mqtt: await freePort(), admin: await freePort() };
  const dir = await tempDir('combinations');
  const id = `combinations-${randomUUID()}`;
  const site = new CombinationsSite({ plan, node, disk, clock, proxy, operator, ports, dir, id });
  onTestFinished(() => site.gateway.close());
  return site;
}
