/**
 * Bounds the memory of what many remember for themselves, each in a map of its own: one gateway may have a thousand lanes.
 * What would go beyond it makes all of them forget; what is remembered can be made again.
 */
export class MemoryBound {
  readonly #mostBytes: number;
  readonly #maps: Set<Map<unknown, unknown>> = new Set();
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Puts an entry of about that size into the map. One that takes the place of another counts beside it. */
  remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, bytes: number): void {
    if (this.#bytes + bytes > this.#mostBytes) this.#forget();
    this.#bytes += bytes;
    this.#maps.add(map);
    map.set(key, value);
  }

  #forget(): void {
    for (const map of this.#maps) map.clear();
    this.#maps.clear();
    this.#bytes = 0;
  }
}
