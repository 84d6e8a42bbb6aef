import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartOf } from '../test/bench/chart.ts';
import { contenders } from '../test/bench/contenders/all.ts';
import { benchReport, type Subject } from '../test/bench/report.ts';
import type { ScenarioResult } from '../test/bench/runner-result.ts';
import { scenarios } from '../test/bench/scenarios/index.ts';

const RESULTS_DIR = 'docs/bench';
/** The report that is made of all results. */
export const REPORT = 'docs/benchmarks.md';
const INDENT = 2;

/** What is measured besides the contenders. */
const LIMITS: readonly Subject[] = [
  {
    name: 'bare-confirm-publisher',
    about:
      'Limit: a process that publishes the same messages with a confirm channel of amqplib, and nothing else.',
  },
  {
    name: 'group-commit',
    about:
      'Limit: a process that appends the same messages to LevelDB in synced batches, and nothing else.',
  },
];

/** Keeps the result for the report, instead of an earlier one of that scenario. */
export function writeResult(result: ScenarioResult): void {
  mkdirSync(RESULTS_DIR, { recursive: true });
  const file = join(RESULTS_DIR, `${result.name}.json`);
  writeFileSync(file, JSON.stringify(result, null, INDENT));
  execFileSync('npx', ['biome', 'format', '--write', file], { stdio: 'ignore' });
}

/** Makes the report and a chart for each result that there is, in the order of the scenarios. */
export function writeReport(): void {
  mkdirSync(RESULTS_DIR, { recursive: true });
  const order = scenarios.map(({ name }) => name);
  const results = readdirSync(RESULTS_DIR)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(RESULTS_DIR, file), 'utf8')) as ScenarioResult)
    .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  for (const result of results) {
    const chart = chartOf(result);
    if (chart !== undefined) writeFileSync(join(RESULTS_DIR, `${result.name}.svg`), chart);
  }
  writeFileSync(REPORT, benchReport(results, [...contenders, ...LIMITS]));
}
