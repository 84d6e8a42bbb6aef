const TWO_POW_32 = 4_294_967_296;
/** FNV-1a, 32 bit: offset basis and prime. Mixes a label into a seed. */
const FNV_OFFSET = 2_166_136_261;
const FNV_PRIME = 16_777_619;

/**
 * A seeded source of randomness (mulberry32): the same seed gives the same sequence on every machine.
 * Not for secrets.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Next number in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / TWO_POW_32;
  }

  /** Evenly spread over [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Waiting time until an event that comes once in `mean` on average (exponential distribution). */
  waitingTime(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}

/** A seed of its own for each label, so that one more device does not change what the others do. */
export function seedFor(seed: number, label: string): number {
  let hash = (FNV_OFFSET ^ seed) >>> 0;
  for (const char of label) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), FNV_PRIME) >>> 0;
  return hash;
}
