import { setInterval } from 'node:timers/promises';
import type { LevelLaneLog } from './level-lane-log.ts';
import type { Mending } from './mending.ts';
import { isCorruption } from './open-faults.ts';
import type { BatchWriter } from './writer/batch-writer.ts';

export interface TidyingParts {
  readonly writer: BatchWriter;
  readonly lanes: ReadonlyMap<string, LevelLaneLog>;
  readonly mending: Mending;
  /** The store holds so much that what is settled has to be given back at once. */
  readonly isNearlyFull: () => boolean;
  /** What else is looked after once a second. */
  readonly alsoDo: () => Promise<void>;
}

/** How late the low-water mark may reach the disk; a crash repeats at most what was settled since. */
const TIDY_EVERY_MS = 1_000;

/** Writes the low-water marks once a second, deletes what is settled, and gives its space back. */
export class Tidying {
  readonly #parts: TidyingParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: TidyingParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const ticks = setInterval(TIDY_EVERY_MS, undefined, { signal: this.#stopping.signal });
    try {
      for await (const _ of ticks) await this.#tidy();
    } catch {
      // Aborted by stop().
    }
  }

  async #tidy(): Promise<void> {
    const { writer, alsoDo } = this.#parts;
    if (!writer.isTrusted) return;
    try {
      await this.#tidyLanes();
      await alsoDo();
    } catch (error) {
      // A write that failed is known to the writer; of a read nobody else has heard.
      if (writer.isTrusted && !this.#stopping.signal.aborted) this.#readFailed(error);
    }
  }

  async #tidyLanes(): Promise<void> {
    const { writer, isNearlyFull } = this.#parts;
    const { lacksReserve } = writer;
    const isUrgent = lacksReserve || isNearlyFull();
    const lanes = [...this.#parts.lanes.values()].map((lane) => ({
      lane,
      isPressing: isUrgent || lane.lowWaterMark === lane.endOffset,
    }));
    await Promise.all(lanes.map(({ lane, isPressing }) => lane.tidy(isPressing)));
    for (const { lane, isPressing } of lanes) {
      if (lacksReserve) await lane.giveSpaceBack('urgent');
      else await lane.giveSpaceBack(isPressing ? 'drained' : 'draining');
    }
  }

  /** What one mending has not mended stays: reading goes around it, and nothing else must suffer. */
  #readFailed(error: unknown): void {
    const { writer, mending } = this.#parts;
    if (isCorruption(error) && !mending.request(error)) return;
    writer.distrust(error);
  }
}
