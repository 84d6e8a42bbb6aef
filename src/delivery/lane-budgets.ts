import { SharedBudget } from './shared-budget.ts';

/** Messages loaded ahead of the windows, over all lanes. More would only take memory. */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;
/** Stored messages that are on their way to be parked or given up, over all lanes. */
const LEAVING_BYTES = 16 * 1024 * 1024;

/**
 * The memory that all lanes share. A bound for each lane would be none: there may be a thousand of them. What is accepted
 * and not yet safe is not in here: `mqtt.maxPendingBytes` bounds it.
 */
export class LaneBudgets {
  /** What is published and not answered, with the copy that waits for the socket. */
  readonly inFlight: SharedBudget;
  readonly readAhead: SharedBudget;
  readonly leaving: SharedBudget;
  #working: Promise<unknown> = Promise.resolve();

  /** The two others are as above unless they are given. */
  constructor(
    maxInFlightBytes: number,
    others: { readonly readAheadBytes?: number; readonly leavingBytes?: number } = {},
  ) {
    const { readAheadBytes = READ_AHEAD_BYTES, leavingBytes = LEAVING_BYTES } = others;
    this.inFlight = new SharedBudget(maxInFlightBytes);
    this.readAhead = new SharedBudget(readAheadBytes);
    this.leaving = new SharedBudget(leavingBytes);
  }

  /** What reads or moves many parked messages: one lane at a time, behind those that asked before. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#working.then(task);
    this.#working = done.catch(() => undefined); // whoever asked is told
    return done;
  }
}
