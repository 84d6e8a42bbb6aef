import { crc32 } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { Lane } from '../../src/delivery/lane.ts';
import type { AppendDone, Publisher, PublishOutcome } from '../../src/delivery/ports.ts';
import { Ingest } from '../../src/ingest/ingest.ts';
import { compileRoutes } from '../../src/mapping/route-table.ts';
import type { DeviceMessage, Draft, LaneMessage } from '../../src/shared/message.ts';
import { NO_RECEIPT } from '../../src/shared/receipt.ts';
import { recordKey } from '../../src/store/keys.ts';
import { encodeRecord } from '../../src/store/record.ts';
import { RecordTexts } from '../../src/store/record-texts.ts';
import { roomyLane } from '../helpers/lane-room.ts';
import { MemoryLaneLog } from '../helpers/memory-store.ts';

const ROUNDS = 15;
const WARM_UP_ROUNDS = 3;
const MESSAGES = 20_000;
/** As many as are in flight at a time. */
const BATCH = 500;
const RECORD_BYTES = 300;
const PAYLOAD: Buffer = Buffer.alloc(200, 'x');

const CONFIRMED: PublishOutcome = { kind: 'confirmed' };

/** Confirms all that was published when it is told to. */
class QuickPublisher implements Publisher {
  #open: ((outcome: PublishOutcome) => void)[] = [];
  start({ onOpen }: Parameters<Publisher['start']>[0]): void {
    onOpen();
  }
  publish(_message: LaneMessage, done: (outcome: PublishOutcome) => void): void {
    this.#open.push(done);
  }
  recycle(): void {}
  async stop(): Promise<void> {}
  flush(): void {
    for (const done of this.#open.splice(0)) done(CONFIRMED);
  }
}

/** A broker that is away. */
class NoPublisher extends QuickPublisher {
  override start(): void {}
}

/** Encodes as the store does, and has all on disk when it is told to. */
class QuickLog extends MemoryLaneLog {
  readonly #texts = new RecordTexts();
  #pending: AppendDone[] = [];
  override append(message: LaneMessage, done: AppendDone): void {
    const offset = this.endOffset + this.#pending.length;
    const key = recordKey(1, offset);
    if (encodeRecord(key, message, false, this.#texts.of(message)).length < RECORD_BYTES / 2)
      throw new Error('a record is larger');
    this.#pending.push(done);
  }
  override flush(): void {
    for (const done of this.#pending.splice(0)) {
      this.endOffset += 1;
      done.appended(this.endOffset - 1);
    }
  }
}

interface Way {
  readonly ingest: Ingest;
  flush(): void;
}

function wayOf(publisher: QuickPublisher, log: QuickLog): Way {
  const lane = new Lane({
    name: 'telemetry',
    gatewayId: 'guard',
    epoch: 1,
    run: 'aaaaaaaaaaaaaaaa',
    elapsedMs: () => Math.round(performance.now()),
    config: {
      mode: 'adaptive',
      spillAfterMs: 60_000,
      directAfterMs: 0,
      window: { maxMessages: BATCH, maxBytes: 1_000_000 },
      parkedRetryMs: 60_000,
    },
    onUnroutable: 'park',
    onReject: 'retry',
    confirmTimeoutMs: 60_000,
    parkedBefore: 0,
    ...roomyLane(),
    log,
    publisher,
    onEvent: () => undefined,
  });
  lane.start();
  onTestFinished(() => lane.stop(AbortSignal.abort()));
  const routes = compileRoutes([{ name: 'telemetry', filter: 'devices/+device/#metric' }], {
    gatewayId: 'guard',
  });
  const ingest = new Ingest({
    route: (message) => routes.route(message),
    lanes: new Map([['telemetry', lane]]),
    checks: new Map(),
    maxPayloadBytes: 1_000,
    maxPendingBytes: 100_000_000,
  });
  return {
    ingest,
    flush: () => {
      log.flush();
      publisher.flush();
    },
  };
}

function messageOf(n: number, username?: string): DeviceMessage {
  const clientId = `c${n % 20}`;
  const message: Draft<DeviceMessage> = {
    topic: `devices/${clientId}/telemetry/guard`,
    payload: PAYLOAD,
    qos: 1,
    dup: false,
    retain: false,
    clientId,
    receivedAtMs: Date.now(),
  };
  if (username !== undefined) message.username = username;
  return message;
}

/** The least that could be done with a message: it is looked at whole and copied once. */
function bareMs(): number {
  const startMs = performance.now();
  let sum = 0;
  for (let n = 0; n < MESSAGES; n += 1) {
    const { payload } = messageOf(n);
    const record = Buffer.allocUnsafe(RECORD_BYTES);
    record.set(payload, RECORD_BYTES - payload.length);
    sum ^= crc32(record);
  }
  if (sum === 0) throw new Error('nothing was done');
  return performance.now() - startMs;
}

function wayMs({ ingest, flush }: Way, username?: string): number {
  const startMs = performance.now();
  for (let n = 0; n < MESSAGES; n += 1) {
    ingest.accept(messageOf(n, username), NO_RECEIPT);
    if (n % BATCH === BATCH - 1) flush();
  }
  return performance.now() - startMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/**
 * Bounds against a bare loop in the same process, in turns: twice what was measured (1.5 and 3.6), far
 * enough for a busy machine, and near enough for what once made every message cost double.
 */
test.each([
  ['over a healthy link', new QuickPublisher(), 3, undefined],
  ['of a client with a user name over a healthy link', new QuickPublisher(), 3, 'ann'],
  ['into the store', new NoPublisher(), 7, undefined],
] as const)(
  'the way of a message %s costs a small multiple of copying it',
  (_how, publisher, most, username) => {
    const way = wayOf(publisher, new QuickLog());
    const ratios: number[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
      const ratio = wayMs(way, username) / bareMs();
      if (round >= 0) ratios.push(ratio);
    }
    expect(
      median(ratios),
      `ratios ${ratios.map((ratio) => ratio.toFixed(1)).join(' ')}`,
    ).toBeLessThan(most);
  },
);
