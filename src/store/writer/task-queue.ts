import type { Batch, WriteTask } from './write-task.ts';

/** A batch of this size takes a few ms to write even on an SD card; more would only add latency. */
const MAX_BATCH_TASKS = 2_000;
const MAX_BATCH_BYTES = 1024 * 1024;

/** What a batch was filled with: the first so many of each kind. */
export interface Filled {
  readonly freeing: number;
  readonly others: number;
  readonly tasks: number;
  readonly bytes: number;
  /** All of them are. */
  readonly isWitnessed: boolean;
}

/** What waits to be written, in order; what frees room is ahead of the rest. */
export class TaskQueue {
  #freeing: WriteTask[] = [];
  #others: WriteTask[] = [];
  /** Of all that waits. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.#freeing.length + this.#others.length === 0;
  }

  get hasFreeing(): boolean {
    return this.#freeing.length > 0;
  }

  add(task: WriteTask): void {
    this.bytes += task.bytes;
    (task.freesRoom ? this.#freeing : this.#others).push(task);
  }

  /** Adds as many as a batch holds; without `withOthers` only what frees room. They stay in the queue. */
  fill(batch: Batch, withOthers: boolean): Filled {
    const counts = { freeing: 0, others: 0 };
    let bytes = 0;
    let isWitnessed = true;
    const add = (task: WriteTask, kind: 'freeing' | 'others'): boolean => {
      const count = counts.freeing + counts.others;
      const isFull = count > 0 && bytes + task.bytes > MAX_BATCH_BYTES;
      if (isFull || count === MAX_BATCH_TASKS) return false;
      task.addTo(batch);
      counts[kind] += 1;
      bytes += task.bytes;
      isWitnessed &&= task.isWitnessed === true;
      return true;
    };
    const isOpen = this.#freeing.every((task) => add(task, 'freeing'));
    if (isOpen && withOthers) this.#others.every((task) => add(task, 'others'));
    return { ...counts, tasks: counts.freeing + counts.others, bytes, isWitnessed };
  }

  /** Takes out what a batch was filled with. */
  take({ freeing, others, bytes }: Filled): WriteTask[] {
    const taken = [...this.#freeing.slice(0, freeing), ...this.#others.slice(0, others)];
    this.#freeing = this.#freeing.slice(freeing);
    this.#others = this.#others.slice(others);
    this.bytes -= bytes;
    return taken;
  }

  /** Takes out what is optional; those that free room only `withFreeing`. */
  takeOptional(withFreeing: boolean): WriteTask[] {
    const isTaken = (task: WriteTask): boolean =>
      task.isOptional === true && (withFreeing || task.freesRoom !== true);
    const taken = [...this.#freeing, ...this.#others].filter(isTaken);
    if (taken.length === 0) return taken;
    this.#freeing = this.#freeing.filter((task) => !isTaken(task));
    this.#others = this.#others.filter((task) => !isTaken(task));
    for (const { bytes } of taken) this.bytes -= bytes;
    return taken;
  }

  takeAll(): WriteTask[] {
    const taken = [...this.#freeing.splice(0), ...this.#others.splice(0)];
    this.bytes = 0;
    return taken;
  }
}
