import { ClassicLevel } from 'classic-level';
import { errorText } from '../shared/errors.ts';
import type { Db } from './batch-writer.ts';
import type { StoreFinding } from './finding.ts';
import type { Safekeeping } from './safekeeping.ts';

/**
 * Mends a database that turned out damaged while it was in use, when it is closed for that. Once in the life of
 * the process: what repair leaves unreadable will not get better by another one.
 */
export class Mending {
  readonly #db: Db;
  readonly #safekeeping: Safekeeping;
  readonly #onFinding: (finding: StoreFinding) => void;
  #fault: unknown;
  #isDone = false;

  constructor(db: Db, safekeeping: Safekeeping, onFinding: (finding: StoreFinding) => void) {
    this.#db = db;
    this.#safekeeping = safekeeping;
    this.#onFinding = onFinding;
  }

  /** Asks for it. False: it was done already. */
  request(error: unknown): boolean {
    if (this.#isDone) return false;
    this.#fault ??= error;
    return true;
  }

  /** Does it, if it was asked for. The database is closed. */
  async mend(): Promise<void> {
    if (this.#isDone || this.#fault === undefined) return;
    this.#isDone = true;
    const path = await this.#safekeeping.quarantine();
    const outcome = await ClassicLevel.repair(this.#db.location).then(
      () => '',
      (error: unknown) => `; repair failed: ${errorText(error)}`,
    );
    this.#onFinding({ kind: 'repaired', detail: `${errorText(this.#fault)}${outcome}`, path });
  }
}
