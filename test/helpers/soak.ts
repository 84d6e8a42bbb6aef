import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, type LedgerVerdict } from './ledger.ts';
import { runFacts } from './run-facts.ts';
import { RESULTS_DIR, type ResultRow, type ScenarioResult } from './soak-result.ts';

const MAX_SEED = 1_000_000;

/** True in a long run (`npm run test:soak`). */
export const IS_SOAK: boolean = process.env['TIDEGATE_SOAK'] === '1';

/** The seed of this run; give that of a failed run to see the same random moments again. */
export const SEED: number = Number(process.env['TIDEGATE_TEST_SEED'] ?? Date.now() % MAX_SEED);

/**
 * How much of something a fault test does: `short` in `npm test`, `long` in a soak, or what the environment
 * says (`TIDEGATE_SOAK_KILLS=200` for the name `kills`; the flag is `--kills=200`). Names are kebab-case with the unit, both counts are
 * written as literals in the call: the help of the soak command reads them there.
 * @throws {Error} when the environment holds no number.
 */
export function scale(name: string, { short, long }: { short: number; long: number }): number {
  const variable = `TIDEGATE_SOAK_${name.toUpperCase().replaceAll('-', '_')}`;
  const text = process.env[variable];
  if (text === undefined) return IS_SOAK ? long : short;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${variable} must be a number above 0, and is "${text}"`);
  return value;
}

/** What must be 0 in every account; `reordered` where order is promised. */
const MUST_BE_ZERO = ['lost', 'unexpected', 'confused', 'reordered'] as const;

/** What does not hold in an account, a sentence each. `besides` are counts that may be above 0 here. */
export function failuresOf(
  verdict: LedgerVerdict,
  besides: readonly (typeof MUST_BE_ZERO)[number][] = [],
): string[] {
  return MUST_BE_ZERO.filter((name) => verdict[name] !== 0 && !besides.includes(name)).map(
    (name) => `${name} is ${verdict[name]} and must be 0`,
  );
}

/** Results of one scenario: all of it, or some rows more. */
export interface Report {
  /** Name of the test file without `.test.ts`. */
  readonly scenario: string;
  /** What the scenario shows, as a sentence. */
  readonly title: string;
  readonly rows: readonly ResultRow[];
}

/**
 * Prints a line for each row; in a soak also adds the rows to the scenario's result file, in place of those of the
 * same name. To be called before the expectations, so that failures are seen.
 */
export function reportResult({ scenario, title, rows }: Report): void {
  for (const row of rows) process.stdout.write(`${scenario}: ${describe(row)}\n`);
  if (!IS_SOAK) return;
  const names = new Set(rows.map((row) => row.name));
  const kept = readResult(scenario)?.rows.filter((row) => !names.has(row.name)) ?? [];
  writeResult({ scenario, title, run: runFacts(SEED), rows: [...kept, ...rows], ended: true });
}

/** The result file of that scenario, if there is one. */
export function readResult(scenario: string): ScenarioResult | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(scenario), 'utf8')) as ScenarioResult;
  } catch {
    return undefined;
  }
}

/** Replaces the result file of that scenario. */
export function writeResult(result: ScenarioResult): void {
  mkdirSync(RESULTS_DIR, { recursive: true });
  writeFileSync(fileOf(result.scenario), `${JSON.stringify(result, undefined, 2)}\n`);
}

function fileOf(scenario: string): string {
  return join(RESULTS_DIR, `${scenario}.json`);
}

function describe({ name, verdict, failures, extras = {} }: ResultRow): string {
  const counts = [
    ...(Object.keys(verdict).length === 0 ? [] : [format(verdict)]),
    ...Object.entries(extras).map(([key, value]) => `${key} ${value}`),
  ];
  const end = failures.length === 0 ? 'holds' : `FAILS: ${failures.join('; ')}`;
  return `${name}: ${counts.join(', ')}: ${end}`;
}
