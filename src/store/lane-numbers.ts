import { laneNameKey } from './keys.ts';
import { encodeLaneNumber } from './run-start.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import type { Batch } from './writer/write-task.ts';

/** Name of a lane with its number in a batch, roughly. */
const NAME_BYTES = 100;

/** The numbers by which keys know the lanes. A number is never given twice. */
export class LaneNumbers {
  readonly #writer: Pick<BatchWriter, 'written'>;
  #durable = new Map<string, number>();
  /** A name whose batch failed may be on disk all the same: its number is for no other. */
  readonly #reserved = new Map<string, number>();
  #max = 0;

  constructor(writer: Pick<BatchWriter, 'written'>) {
    this.#writer = writer;
  }

  /** What a start found; `max` is the highest number in use, also by records whose lane has lost its name. */
  found(durable: Map<string, number>, max: number): void {
    this.#durable = durable;
    this.#max = max;
  }

  /** Those that are on disk. */
  get durable(): ReadonlyMap<string, number> {
    return this.#durable;
  }

  /**
   * Gives numbers to those that are new, all in one batch.
   * @throws {GatewayError} STORE_CLOSED, or why the disk failed: then none of them has one.
   */
  async name(names: readonly string[]): Promise<void> {
    const isNew = new Set(names.filter((name) => !this.#durable.has(name)));
    if (isNew.size === 0) return;
    const numbers = new Map([...isNew].map((name) => [name, this.#numberFor(name)]));
    const addTo = (batch: Batch): void => {
      for (const [name, number] of numbers)
        batch.put(laneNameKey(name), encodeLaneNumber(name, number));
    };
    const bytes = numbers.size * NAME_BYTES;
    await this.#writer.written({ bytes, freesRoom: true, isOptional: true, addTo });
    for (const [name, number] of numbers) this.#durable.set(name, number);
  }

  #numberFor(name: string): number {
    const reserved = this.#reserved.get(name);
    if (reserved !== undefined) return reserved;
    this.#max += 1;
    this.#reserved.set(name, this.#max);
    return this.#max;
  }
}
