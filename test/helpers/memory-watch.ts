import { expect, onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';

const EVERY_MS = 100;
/** The middle one of so many is not the top of a garbage collection. */
const STEADY_SAMPLES = 10;
const SAMPLES_LIMIT_MS = 10_000;
const MIB_BYTES = 1024 ** 2;

/** Samples the resident memory of a process until the test ends. */
export class MemoryWatch {
  readonly #rssBytes: () => Promise<number>;
  #recent: number[] = [];
  #peakBytes = 0;

  constructor(rssBytes: () => Promise<number>) {
    this.#rssBytes = rssBytes;
  }

  start(): void {
    const timer = setInterval(() => {
      this.#rssBytes().then(
        (bytes) => {
          this.#peakBytes = Math.max(this.#peakBytes, bytes);
          this.#recent = [...this.#recent, bytes].slice(-STEADY_SAMPLES);
        },
        () => {}, // it ends while it is looked at
      );
    }, EVERY_MS);
    onTestFinished(() => clearInterval(timer));
  }

  /** The largest so far. */
  get peakMib(): number {
    return Math.round(this.#peakBytes / MIB_BYTES);
  }

  /** What it is about now: the median of the next second. */
  async steadyMib(): Promise<number> {
    this.#recent = [];
    await eventually(() => expect(this.#recent.length).toBe(STEADY_SAMPLES), {
      withinMs: SAMPLES_LIMIT_MS,
    });
    const sorted = this.#recent.toSorted((a, b) => a - b);
    return Math.round((sorted[STEADY_SAMPLES / 2] ?? 0) / MIB_BYTES);
  }
}
