import type { Latencies } from './load-options.ts';

/** Buckets a factor of 1.01 apart, from 1 µs on: 3,000 reach beyond a hundred days. */
const GROWTH = Math.log(1.01);
const BUCKETS = 3_000;
const US_PER_MS = 1000;

/** Counts durations, at most 1 % above the truth, without allocating. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #max = 0;

  add(durationMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(1, durationMs * US_PER_MS)) / GROWTH);
    const index = Math.min(BUCKETS - 1, bucket);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
    this.#max = Math.max(this.#max, durationMs);
  }

  /** The shortest duration that this share (0 to 1) of all does not exceed, in ms; 0 of nothing. */
  quantile(share: number): number {
    const rank = Math.ceil(share * this.#total);
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank && seen > 0)
        return Math.min(this.#max, Math.exp(index * GROWTH) / US_PER_MS);
    }
    return 0;
  }

  summary(): Latencies {
    const [p50 = 0, p90 = 0, p99 = 0, p999 = 0] = [0.5, 0.9, 0.99, 0.999].map((share) =>
      this.quantile(share),
    );
    return { p50, p90, p99, p999, max: this.#max };
  }
}
