import type { Witness } from './checkpoint-file.ts';
import type { DiskRoom } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import { type Opened, openDatabase } from './open.ts';
import { isCorruption } from './open-faults.ts';
import { OpeningMarker } from './opening-marker.ts';
import { Safekeeping } from './safekeeping.ts';
import type { Database } from './writer/database.ts';

export interface MendingParts {
  readonly db: Database;
  readonly room: DiskRoom;
  /** Folder of the store. */
  readonly path: string;
  readonly onFinding: (finding: StoreFinding) => void;
}

/** A read error that lasts so long does not pass by itself. */
const READ_PATIENCE_MS = 30_000;
/** Read errors further apart than this are not the same one. */
const READ_QUIET_MS = 60_000;

/**
 * Opens the database, at the start and whenever it is not to be trusted any more, and sees to it that it has what
 * it should. Damage that is found in use is mended once in the life of the process: what repair leaves unreadable
 * will not get better by another one.
 */
export class Mending {
  readonly #parts: MendingParts;
  readonly #safekeeping: Safekeeping;
  readonly #marker: OpeningMarker;
  #damage: unknown;
  #isDone = false;
  #isIncomplete = false;
  #hasToldLoss = false;
  #readsFailSinceMs = Number.NEGATIVE_INFINITY;
  #readFailedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: MendingParts) {
    this.#parts = parts;
    this.#safekeeping = new Safekeeping(parts.path, parts.db.location);
    this.#marker = new OpeningMarker(parts.path);
  }

  /** @throws {GatewayError} as {@link openDatabase}. */
  start(witness: Witness | undefined): Promise<Opened> {
    return this.#open(witness, true);
  }

  /** Opens the closed database again, mended if that was asked for. @throws {GatewayError} as {@link openDatabase}. */
  async again(witness: Witness): Promise<void> {
    await this.#open(witness, false);
    if (this.#damage !== undefined) this.#isDone = true;
    this.#damage = undefined;
  }

  /** The database is open and at work. */
  atWork(): Promise<void> {
    return this.#marker.atWork();
  }

  /** The database was closed: the next start need not be careful. */
  closed(): Promise<void> {
    return this.#marker.clear();
  }

  /**
   * Something in use failed. True: it is to be tried again when the database was opened again, which is mended
   * then if it is damaged. False: it was mended already.
   */
  request(error: unknown): boolean {
    if (!isCorruption(error) && this.#mayPass()) return true;
    if (this.#isDone) return false;
    this.#damage ??= error;
    return true;
  }

  /** Records are about to be given up: the files they may be in are kept. */
  async beforeLoss(): Promise<void> {
    const path = await this.#safekeeping.quarantine().catch(() => undefined);
    if (this.#hasToldLoss || path === undefined) return;
    this.#hasToldLoss = true;
    this.#parts.onFinding({ kind: 'quarantined', detail: 'stored messages are lost', path });
  }

  async #open(witness: Witness | undefined, isStart: boolean): Promise<Opened> {
    const opened = await openDatabase({
      ...this.#parts,
      safekeeping: this.#safekeeping,
      marker: this.#marker,
      witness,
      isStart,
      isIncomplete: this.#isIncomplete,
      damage: this.#damage,
    });
    if (!opened.isWhole) this.#isIncomplete = true;
    return opened;
  }

  #mayPass(): boolean {
    const now = performance.now();
    if (now - this.#readFailedMs > READ_QUIET_MS) this.#readsFailSinceMs = now;
    this.#readFailedMs = now;
    return now - this.#readsFailSinceMs < READ_PATIENCE_MS;
  }
}
