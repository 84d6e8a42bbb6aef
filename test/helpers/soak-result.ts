import type { LedgerVerdict } from './ledger.ts';

/** Where long runs leave their results, from the root of the project. They are kept in git. */
export const RESULTS_DIR = 'docs/soak';

/** One run within a scenario. */
export interface ResultRow {
  /** What was done, such as `200 kills, adaptive`. Unique within its scenario. */
  readonly name: string;
  /** The account; what a scenario cannot count is left out. */
  readonly verdict: Partial<LedgerVerdict>;
  /** What did not hold, a sentence each. Empty is a pass. */
  readonly failures: readonly string[];
  /** What else was measured, with units in the name or the value. */
  readonly extras?: Readonly<Record<string, string | number>>;
}

/** Where and when a result came about. */
export interface RunFacts {
  /** ISO 8601, UTC. */
  readonly date: string;
  /** Short hash, with `+` when the work tree had changes. */
  readonly commit: string;
  readonly node: string;
  readonly rabbitmq: string;
  readonly cores: number;
  readonly memoryMib: number;
  /** `TIDEGATE_TEST_SEED=…` sees the same random moments again. */
  readonly seed: number;
  /** Of the whole test file so far. */
  readonly durationSeconds: number;
}

/** The content of one result file. */
export interface ScenarioResult {
  /** Name of the test file without `.test.ts`. */
  readonly scenario: string;
  readonly title: string;
  readonly run?: RunFacts;
  readonly rows: readonly ResultRow[];
  /** False when the test file failed, be it before it had a result. */
  readonly ended: boolean;
}
