import type { LaneMessage } from '../shared/message.ts';
import type { LaneLog } from './ports.ts';

/** Released at once when the way is open again: each is a write, and the lane's own messages go on between. */
const RELEASE_AT_ONCE = 500;

export interface ParkedProbeParts {
  readonly log: Pick<LaneLog, 'parked'>;
  /** Time between two attempts, in ms. */
  readonly everyMs: number;
  /** Whether messages get through at present: a probe on a closed way would tell nothing. */
  readonly isOpen: () => boolean;
  /** Messages parked for whatever reason. */
  readonly parkedMessages: () => number;
  /** Puts messages parked as unroutable back to the end of the lane, oldest first: so many, or fewer that are large. */
  readonly release: (maxCount: number) => Promise<number>;
}

/**
 * Brings unroutable messages back when the topology returns. Nothing tells a publisher that a binding was made,
 * so from time to time the oldest of them is tried again, alone; when it gets through, the others follow.
 */
export class ParkedProbe {
  readonly #parts: ParkedProbeParts;
  #timer: NodeJS.Timeout | undefined;
  #probed: { readonly epoch: number; readonly seq: number } | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(parts: ParkedProbeParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => this.probe(), this.#parts.everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#probed = undefined;
  }

  /** Tries the oldest again now, unless that is under way. */
  probe(): void {
    if (this.#probed !== undefined || !this.#parts.isOpen()) return;
    this.#work(async () => {
      const [oldest] = await this.#parts.log.parked(1, 'unroutable');
      if (oldest === undefined) return;
      const { epoch, seq } = oldest.message;
      this.#probed = { epoch, seq };
      if ((await this.#parts.release(1)) === 0) this.#probed = undefined;
    });
  }

  /** True while the answer to a probe is awaited. */
  get isWaiting(): boolean {
    return this.#probed !== undefined;
  }

  /** What became of a message of the lane; anything but the probe does not matter. */
  answered({ epoch, seq }: LaneMessage, isConfirmed: boolean): void {
    if (epoch !== this.#probed?.epoch || seq !== this.#probed.seq) return;
    this.#probed = undefined;
    if (!isConfirmed) return;
    this.#work(async () => {
      // What is refused once more is parked again meanwhile, and must not be released without end.
      let left = this.#parts.parkedMessages();
      while (left > 0 && this.#parts.isOpen()) {
        const released = await this.#parts.release(Math.min(left, RELEASE_AT_ONCE));
        if (released === 0) return;
        left -= released;
      }
    });
  }

  /** The lane has lost records, and the probe may be among them: no answer would come. */
  recordsLost(): void {
    this.#probed = undefined;
  }

  #work(task: () => Promise<void>): void {
    this.#working = this.#working.then(task).catch(() => {
      this.#probed = undefined; // the store was closed, or cannot be read at present
    });
  }
}
