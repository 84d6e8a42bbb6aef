const CHECK_EVERY_MS = 250;

/**
 * Tells when confirms stop advancing. A connected socket proves nothing: a frozen broker, a half-open link
 * and a lost frame all look connected.
 */
export class ProgressWatch {
  readonly #timeoutMs: number;
  readonly #isDue: () => boolean;
  readonly #onStalled: (scope: 'channel' | 'connection') => void;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;
  #recycles = 0;

  /** `isDue` says whether an answer of the broker is being waited for. */
  constructor(
    timeoutMs: number,
    isDue: () => boolean,
    onStalled: (scope: 'channel' | 'connection') => void,
  ) {
    this.#timeoutMs = timeoutMs;
    this.#isDue = isDue;
    this.#onStalled = onStalled;
  }

  start(): void {
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** An answer came: what was stalled moves again. */
  answered(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#recycles = 0;
  }

  /** Waiting begins now; says nothing about earlier stalls. */
  begin(nowMs: number): void {
    this.#lastMs = nowMs;
  }

  /** Time since the last sign of progress, in ms. */
  get silentMs(): number {
    return performance.now() - this.#lastMs;
  }

  #check(): void {
    if (!this.#isDue() || this.silentMs < this.#timeoutMs) return;
    this.begin(performance.now());
    this.#recycles += 1;
    // The channel alone first; if the next one is as silent, the connection, which tries the next URL.
    this.#onStalled(this.#recycles === 1 ? 'channel' : 'connection');
  }
}
