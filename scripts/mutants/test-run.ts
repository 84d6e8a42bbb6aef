import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatchingTest } from './mutant.ts';

/** What one run of vitest said. */
export interface TestRun {
  /** Titles of the tests that passed and of those that failed, with those of the groups around them. */
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** What it wrote, for when it is not understood. */
  readonly output: string;
}

/** The part of vitest's JSON report that is used. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** A run that takes longer hangs: the limits of the tests themselves are shorter. */
const LIMIT_MS = 600_000;
const REPORT = 'mutants-report.json';
/** Enough to see what went wrong. */
const MOST_OUTPUT_CHARS = 4_000;

/**
 * Runs tests of one project in the tree at `root` until the first fails.
 * @throws {Error} when vitest leaves no report: it could not start, or hung.
 */
export async function runTests(
  root: string,
  tests: readonly CatchingTest[],
  signal: AbortSignal,
): Promise<TestRun> {
  const report = join(root, REPORT);
  await rm(report, { force: true });
  const [project = 'unit'] = tests.map((one) => one.project);
  const files = new Set(tests.map(({ file }) => file));
  const args = ['run', '--config', 'scripts/mutants/vitest.config.ts', '--project', project];
  args.push('--bail=1', '--reporter=json', `--outputFile=${REPORT}`, ...titleArgs(tests), ...files);
  const needsBroker = tests.some((one) => one.needsBroker);
  const environment = { TIDEGATE_MUTANTS_BROKER: needsBroker ? '1' : '0' };
  const output = await run(root, ['node_modules/vitest/vitest.mjs', ...args], environment, signal);
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) throw new Error(`vitest left no report:\n${output}`);
  const { testResults }: Report = JSON.parse(text);
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  const titles = (status: string): string[] =>
    all.filter((one) => one.status === status).map(({ fullName }) => fullName.trim());
  return { passed: titles('passed'), failed: titles('failed'), output };
}

/** Makes `dist`. What the types say of a mutant does not matter. */
export async function build(root: string, signal: AbortSignal): Promise<void> {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  await run(root, tsc, {}, signal);
}

/** All of a file, as soon as one test of it is wanted without a title. */
function titleArgs(tests: readonly CatchingTest[]): string[] {
  const titles = tests.map(({ title }) => title);
  if (titles.includes(undefined)) return [];
  const patterns = titles.map((title = '') => title.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return ['-t', [...new Set(patterns)].join('|')];
}

/** Runs node to its end, whatever that is; resolves with the end of what it wrote. */
function run(
  cwd: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const env = { ...process.env, ...environment };
    const child = spawn(process.execPath, args, { cwd, env, signal: limit });
    let output = '';
    const onData = (data: Buffer): void => {
      output = (output + data.toString()).slice(-MOST_OUTPUT_CHARS);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
}
