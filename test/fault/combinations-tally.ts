import type { ResultRow } from '../helpers/soak-result.ts';
import { addVerdicts } from './combinations-account.ts';
import type { Plan } from './combinations-plan.ts';
import { FAULT_KINDS, pairsOf } from './combinations-plan.ts';
import type { CombinationsResult } from './combinations-run.ts';

interface Entry {
  readonly plan: Plan;
  readonly result: CombinationsResult;
}

/** Failures of one seed that the report shows. */
const SHOWN = 3;

/** What came of all plans so far. */
export class CombinationsTally {
  readonly #entries: Entry[] = [];

  add(plan: Plan, result: CombinationsResult): void {
    this.#entries.push({ plan, result });
  }

  /** A row for each mode that was drawn. */
  rows(): ResultRow[] {
    const modes = [...new Set(this.#entries.map(({ plan }) => plan.mode))].sort();
    return modes.map((mode) =>
      rowOf(
        mode,
        this.#entries.filter(({ plan }) => plan.mode === mode),
      ),
    );
  }
}

function rowOf(mode: string, entries: readonly Entry[]): ResultRow {
  const rounds = entries.flatMap(({ plan }) => plan.rounds);
  const kinds = rounds.map(({ faults }) => faults.map(({ kind }) => kind));
  const results = entries.map(({ result }) => result);
  return {
    name: `${rounds.length} rounds, ${mode}`,
    verdict: addVerdicts(results.map(({ verdict }) => verdict)),
    failures: entries.flatMap(({ plan, result }) =>
      result.failures.slice(0, SHOWN).map((text) => `seed ${plan.seed}: ${text}`),
    ),
    extras: {
      stuck: sum(results.map(({ stuck }) => stuck)),
      faults: counted(kinds.flat()),
      'pairs at once': new Set(kinds.flatMap(pairsOf)).size,
      'of pairs': (FAULT_KINDS.length * (FAULT_KINDS.length - 1)) / 2,
      policies: counted(entries.map(({ plan }) => plan.whenFull)),
      endings: counted(rounds.flatMap(({ ending }) => ending ?? [])),
      'calls made to fail': sum(results.map(({ failedCalls }) => failedCalls)),
      'times the store could not be written': sum(
        results.map(({ storeTroubles }) => storeTroubles),
      ),
      'told losses': sum(results.flatMap(({ told }) => Object.values(told))),
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** How often each is there, such as `cut 3, kill 2`. */
function counted(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort()
    .map((pair) => pair.join(' '))
    .join(', ');
}
