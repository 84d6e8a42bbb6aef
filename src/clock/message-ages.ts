import type { MessageStore, RunNote } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';

/** What names the moment at which a message arrived. */
export type Stamped = Pick<LaneMessage, 'epoch' | 'run' | 'elapsedMs'>;

export interface MessageAgeParts {
  readonly store: Pick<MessageStore, 'epoch' | 'run' | 'runs'>;
  /** Time of the gateway at the start of this run, in ms. */
  readonly startMs: number;
  /** Time of the gateway now, in ms. */
  readonly elapsedMs: () => number;
  /** True time minus time of the gateway now, or less; undefined as long as it is not known. */
  readonly trueOffsetMs: () => number | undefined;
}

/**
 * How old messages are. Within a run that is exact. Those of earlier runs are at least as old as the time of the gateway
 * says; how long it was off counts when a confirmed clock has told the true time both in their run and now.
 */
export class MessageAges {
  readonly #parts: MessageAgeParts;

  constructor(parts: MessageAgeParts) {
    this.#parts = parts;
  }

  /** In ms. Never more than the message is old, but for what a confirmed clock was wrong by. */
  of(message: Stamped): number {
    const { store, elapsedMs, startMs } = this.#parts;
    const nowMs = elapsedMs();
    // What 0.1.0 stored came before this time began.
    const leastMs = nowMs - (message.elapsedMs ?? 0);
    if (message.epoch === store.epoch && message.run === store.run) return leastMs;
    const trueMs = this.#trueMs(message, nowMs) ?? 0;
    return Math.max(leastMs, nowMs - startMs, trueMs);
  }

  #trueMs(message: Stamped, nowMs: number): number | undefined {
    const { store, trueOffsetMs } = this.#parts;
    const thenMs = trueTimeOf(message, store.runs.get(message.epoch));
    const offsetMs = trueOffsetMs();
    return thenMs === undefined || offsetMs === undefined ? undefined : nowMs + offsetMs - thenMs;
  }
}

/** When the message arrived, in ms since 1970, or later; undefined when its run never knew. */
function trueTimeOf({ run, elapsedMs }: Stamped, note: RunNote | undefined): number | undefined {
  const { trueOffsetMs, sureUntilMs = Number.POSITIVE_INFINITY } = note?.clock ?? {};
  // A store that was set back counts the same epoch again: the note may be that of another run.
  if (note?.run !== run || elapsedMs === undefined || trueOffsetMs === undefined) return undefined;
  return elapsedMs < sureUntilMs ? elapsedMs + trueOffsetMs : undefined;
}
