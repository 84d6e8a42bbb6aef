/**
 * Topics longer than this many UTF-16 units are not cached: real ones are shorter, and a device that sends
 * 64 KiB topics must not fill the memory with them.
 */
const MAX_CACHED_TOPIC_LENGTH = 512;

/**
 * A bounded cache by topic, least recently used first out, approximately: two generations, each of which
 * holds values of `generationWeight` in all. What is asked for moves to the young one; when that is full,
 * it becomes the old one and the old one goes.
 *
 *     set, hit ──▶ young ──(full)──▶ old ──(young full again)──▶ gone
 *                    ▲────── hit ─────┘
 *
 * So the most recent values of `generationWeight` are there, and never more than twice that.
 */
export class TopicCache<V> {
  readonly #generationWeight: number;
  readonly #weightOf: (value: V) => number;
  // Maps, as a topic may be `__proto__`.
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #youngWeight = 0;

  constructor(generationWeight: number, weightOf: (value: V) => number) {
    this.#generationWeight = generationWeight;
    this.#weightOf = weightOf;
  }

  /** Topics held at present. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(topic: string): V | undefined {
    const young = this.#young.get(topic);
    if (young !== undefined) return young;
    const old = this.#old.get(topic);
    if (old === undefined) return undefined;
    this.#old.delete(topic);
    this.set(topic, old);
    return old;
  }

  /** Keeps the value unless it is alone too heavy for a generation or its topic is too long. */
  set(topic: string, value: V): void {
    const weight = this.#weightOf(value);
    if (weight > this.#generationWeight || topic.length > MAX_CACHED_TOPIC_LENGTH) return;
    if (this.#youngWeight + weight > this.#generationWeight) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngWeight = 0;
    }
    this.#young.set(topic, value);
    this.#youngWeight += weight;
  }
}
