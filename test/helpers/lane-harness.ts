import { onTestFinished, vi } from 'vitest';
import type { Gap } from '../../src/delivery/gap-manifest.ts';
import { Lane } from '../../src/delivery/lane.ts';
import type { LaneParts } from '../../src/delivery/lane-parts.ts';
import { FakePublisher } from './fake-publisher.ts';
import { roomyLane } from './lane-room.ts';
import { MemoryLaneLog } from './memory-store.ts';

/** What a test may set; everything else is as below. */
export interface LaneHarnessOptions
  extends Partial<Pick<LaneParts, 'onUnroutable' | 'onReject' | 'confirmTimeoutMs' | 'epoch'>> {
  readonly mode?: 'adaptive' | 'disk-first';
  readonly maxMessages?: number;
  readonly maxBytes?: number;
  /** Default: a new log, whose appends are durable only by `durable()`. */
  readonly log?: MemoryLaneLog;
  readonly parkedRetryMs?: number;
  readonly parkedBefore?: number;
  /** Limits, policy and backfill, where they are not without bounds. */
  readonly room?: Partial<ReturnType<typeof roomyLane>>;
}

export const SPILL_AFTER_MS = 50;
export const DIRECT_AFTER_MS = 1_000;

/** A started lane whose disk, broker and time are in the hands of the test. Makes time stand still. */
export class LaneHarness {
  readonly log: MemoryLaneLog;
  readonly publisher: FakePublisher = new FakePublisher();
  readonly lane: Lane;
  /** Messages that were accepted and are safe, in the order in which that was told. */
  readonly safe: number[] = [];
  readonly refused: unknown[] = [];
  readonly events: string[] = [];
  /** What the lane has named in the gap manifest. */
  readonly gaps: Gap[] = [];
  #accepted = 0;

  constructor(options: LaneHarnessOptions = {}) {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
    onTestFinished(() => void vi.useRealTimers());
    const { maxMessages = 100, maxBytes = 1_000_000 } = options;
    this.log = options.log ?? new MemoryLaneLog({ manual: true });
    this.lane = new Lane({
      name: 'telemetry',
      gatewayId: 'site-a',
      epoch: options.epoch ?? 1,
      config: {
        mode: options.mode ?? 'adaptive',
        spillAfterMs: SPILL_AFTER_MS,
        directAfterMs: DIRECT_AFTER_MS,
        window: { maxMessages, maxBytes },
        parkedRetryMs: options.parkedRetryMs ?? 60_000,
      },
      onUnroutable: options.onUnroutable ?? 'park',
      onReject: options.onReject ?? 'retry',
      confirmTimeoutMs: options.confirmTimeoutMs ?? 30_000,
      run: 'aaaaaaaaaaaaaaaa',
      elapsedMs: () => Math.round(performance.now()),
      parkedBefore: options.parkedBefore ?? 0,
      ...roomyLane(this.gaps),
      ...options.room,
      log: this.log,
      publisher: this.publisher,
      onEvent: (event) => this.events.push(event),
    });
    this.lane.start();
  }

  /** Hands `count` messages to the lane, whose seqs are 1, 2, 3 … over all calls. */
  async accept(count: number = 1, payloadBytes: number = 1): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      this.#accepted += 1;
      const seq = this.#accepted;
      const payload = Buffer.alloc(payloadBytes, String(seq));
      const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
      this.lane.accept({ topic: 'a/b', payload, ...rest }, 'a.b', {
        safe: () => this.safe.push(seq),
        unsafe: (error) => this.refused.push(error),
      });
    }
    await this.advance(0);
  }

  /** Time goes on, with all that was waiting for it. */
  async advance(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  /** The first `count` appends reach the disk, by default all. */
  async durable(count?: number): Promise<void> {
    this.log.flush(count);
    await this.advance(0);
  }

  /** Seqs in order of publishing, repetitions too. */
  get published(): number[] {
    return this.publisher.published.map(({ seq }) => seq);
  }

  get inFlight(): number[] {
    return this.publisher.inFlight.map(({ seq }) => seq);
  }

  get parked(): string[] {
    return this.log.parkedNow.map(({ message, note }) => `${message.seq} ${note.reason}`);
  }
}
