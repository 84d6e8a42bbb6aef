import type { ParkNote } from '../delivery/ports.ts';

/** What becomes of a parking place: the note of what is parked there, or nothing. */
type Outcome = ParkNote | 'gone';

/** One change of a parking place, from the call until its batch is written. */
export interface ParkingChange {
  /** What the changes ahead in the same batch make of the place; undefined when there are none, so that the disk tells. */
  ahead(): Outcome | undefined;
  /** What this change makes of it; to be told each time it goes into a batch. */
  becomes(outcome: Outcome): void;
  /** It is written, or given up. */
  end(): void;
}

interface Pending {
  outcome: Outcome | undefined;
}

/**
 * The changes of parking places that are on their way to the disk. Two of one message may share a batch, and the disk,
 * which knows neither, would call the message new for both.
 */
export class ParkingChanges {
  readonly #byKey = new Map<string, Pending[]>();

  begin(key: Buffer): ParkingChange {
    const name = key.toString('hex');
    const mine: Pending = { outcome: undefined };
    const all = this.#byKey.get(name) ?? [];
    this.#byKey.set(name, all);
    all.push(mine);
    return {
      ahead: () => all[all.indexOf(mine) - 1]?.outcome,
      becomes: (outcome) => {
        mine.outcome = outcome;
      },
      end: () => {
        all.splice(all.indexOf(mine), 1);
        if (all.length === 0) this.#byKey.delete(name);
      },
    };
  }
}
