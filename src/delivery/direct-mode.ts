import type { DeliveryConfig } from '../config/types.ts';

/**
 * Whether a lane is in its write-free mode, with hysteresis: it is left at once, and entered again only when
 * confirms have been quick for `directAfterMs`, so that a link on the edge does not make it flap.
 */
export class DirectMode {
  readonly #config: Pick<DeliveryConfig, 'mode' | 'spillAfterMs' | 'directAfterMs'>;
  readonly #oldestUnsafeMs: () => number | undefined;
  readonly #onLate: () => void;
  #isOn = false;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * `oldestUnsafeMs` says when the oldest message was published that only a confirm can make safe;
   * `onLate` is called when that is `spillAfterMs` ago.
   */
  constructor(
    config: Pick<DeliveryConfig, 'mode' | 'spillAfterMs' | 'directAfterMs'>,
    oldestUnsafeMs: () => number | undefined,
    onLate: () => void,
  ) {
    this.#config = config;
    this.#oldestUnsafeMs = oldestUnsafeMs;
    this.#onLate = onLate;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  get mayEnter(): boolean {
    return this.#config.mode === 'adaptive' && performance.now() >= this.#notBeforeMs;
  }

  enter(): void {
    this.#isOn = true;
  }

  leave(): void {
    this.#isOn = false;
    this.#notBeforeMs = performance.now() + this.#config.directAfterMs;
  }

  /** A message was published whose only safety is its confirm: it is given `spillAfterMs`. */
  watch(): void {
    this.#timer ??= setTimeout(() => this.#check(), this.#config.spillAfterMs);
  }

  /** A confirm took so long; a slow one puts off the return to write-free. */
  confirmedAfter(latencyMs: number, nowMs: number): void {
    if (latencyMs > this.#config.spillAfterMs)
      this.#notBeforeMs = nowMs + this.#config.directAfterMs;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    const oldestMs = this.#oldestUnsafeMs();
    if (!this.#isOn || oldestMs === undefined) return;
    const restMs = oldestMs + this.#config.spillAfterMs - performance.now();
    if (restMs <= 0) this.#onLate();
    else this.#timer = setTimeout(() => this.#check(), restMs);
  }
}
