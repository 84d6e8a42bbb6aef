import type { ParkNote } from '../delivery/ports.ts';

/** One message on its way to its parking place, until its batch is written. */
export interface ParkingArrival {
  /** The note of the one ahead of it to the same place; undefined when there is none, so that the disk tells. */
  ahead(): ParkNote | undefined;
  /** What its note becomes; to be told each time it goes into a batch. */
  becomes(note: ParkNote): void;
  /** It is written, or given up. */
  end(): void;
}

interface Pending {
  note: ParkNote | undefined;
}

/**
 * Messages on their way to their parking places. Two of one message may share a batch, and the disk, which knows
 * neither, would call the message new for both: a count too high, that the next start takes for a loss.
 */
export class ParkingArrivals {
  readonly #byKey = new Map<string, Pending[]>();

  begin(key: Buffer): ParkingArrival {
    const name = key.toString('hex');
    const mine: Pending = { note: undefined };
    const all = this.#byKey.get(name) ?? [];
    this.#byKey.set(name, all);
    all.push(mine);
    return {
      ahead: () => all[all.indexOf(mine) - 1]?.note,
      becomes: (note) => {
        mine.note = note;
      },
      end: () => {
        all.splice(all.indexOf(mine), 1);
        if (all.length === 0) this.#byKey.delete(name);
      },
    };
  }
}
