import type { Entry } from './entry.ts';

const CHECK_EVERY_MS = 250;

export interface ProgressParts {
  /** Longest time for which the same message may be the oldest in flight, in ms. */
  readonly timeoutMs: number;
  /** The oldest message whose answer is due; undefined while none is. */
  readonly oldest: () => Entry | undefined;
  readonly onStalled: (scope: 'channel' | 'connection') => void;
}

/**
 * Tells when confirms stop advancing. A connected socket proves nothing: a frozen broker, a half-open link
 * and a lost frame all look connected. Nor do the answers to others: a message whose own never comes keeps all that is
 * stored behind it. So what counts is that the oldest in flight changes, as it does with each answer of a slow link.
 */
export class ProgressWatch {
  readonly #parts: ProgressParts;
  #timer: NodeJS.Timeout | undefined;
  /** The oldest in flight; undefined until it is looked for again. */
  #oldest: Entry | undefined;
  #sinceMs = 0;
  #recycles = 0;

  constructor(parts: ProgressParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** An answer came. If it is that of the oldest, what was stalled moves again. */
  answered(entry: Entry, nowMs: number): void {
    if (entry !== this.#oldest) return;
    this.#oldest = undefined;
    this.#sinceMs = nowMs;
    this.#recycles = 0;
  }

  /** Waiting begins now, for this one if one is given; says nothing about earlier stalls. */
  begin(nowMs: number, oldest?: Entry): void {
    this.#oldest = oldest;
    this.#sinceMs = nowMs;
  }

  /** Time since the last sign of progress, in ms. */
  get silentMs(): number {
    return performance.now() - this.#sinceMs;
  }

  #check(): void {
    const oldest = this.#parts.oldest();
    if (oldest !== undefined && oldest !== this.#oldest) this.begin(performance.now(), oldest);
    this.#oldest = oldest;
    if (oldest === undefined || this.silentMs < this.#parts.timeoutMs) return;
    this.begin(performance.now());
    this.#recycles += 1;
    // The channel alone first; if the next one is as silent, the connection, which tries the next URL.
    this.#parts.onStalled(this.#recycles === 1 ? 'channel' : 'connection');
  }
}
