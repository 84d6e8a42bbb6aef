import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readResult, writeResult } from '../test/helpers/soak.ts';
import { RESULTS_DIR } from '../test/helpers/soak-result.ts';
import { passed, soakReport } from './soak-report.ts';

const TESTS_DIR = 'test/fault';
const TEST_SUFFIX = '.test.ts';
const REPORT = 'docs/soak-report.md';

const HELP = `Usage: npm run test:soak [-- NAME… FLAG…]

Runs the fault tests in their long form, one file after the other, and makes ${REPORT} of the results.
With names, runs only those and leaves the other sections of the report as they are.

  --seed=N   the random moments of an earlier run
  --report   only make the report, of the results there are
  --help     this text
`;

/** Finds the calls of `scale` in a test, and what they are by default. */
const SCALE = /\bscale\(\s*'([a-z0-9-]+)',\s*\{ short: ([\d_]+), long: ([\d_]+) \}/g;

interface Flag {
  readonly name: string;
  readonly long: string;
  readonly tests: string;
}

/** The tests that have a long form: those that scale what they do. */
function testNames(): string[] {
  return readdirSync(TESTS_DIR)
    .filter((file) => file.endsWith(TEST_SUFFIX))
    .filter((file) => readFileSync(join(TESTS_DIR, file), 'utf8').includes(' scale('))
    .map((file) => basename(file, TEST_SUFFIX));
}

function flags(): Flag[] {
  return readdirSync(TESTS_DIR)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(TESTS_DIR, file), 'utf8').matchAll(SCALE)].map(
        ([, name = '', , long = '']) => ({ name, long, tests: basename(file, TEST_SUFFIX) }),
      ),
    );
}

function help(): string {
  const lines = flags().map(
    ({ name, long, tests }) => `  --${`${name}=N`.padEnd(24)} ${long.padStart(9)}  ${tests}`,
  );
  return `${HELP}\nHow much is done, by default, in which test:\n\n${lines.join('\n')}\n\nNames: ${testNames().join(', ')}\n`;
}

/** What the flags set in the environment of the tests. */
function environmentOf(args: readonly string[]): NodeJS.ProcessEnv {
  const known = new Set(flags().map(({ name }) => name));
  const environment: NodeJS.ProcessEnv = { TIDEGATE_SOAK: '1' };
  for (const arg of args) {
    const [, name = '', value = ''] = /^--([a-z0-9-]+)=([\d.]+)$/.exec(arg) ?? [];
    if (name === 'seed') environment['TIDEGATE_TEST_SEED'] = value;
    else if (known.has(name))
      environment[`TIDEGATE_SOAK_${name.toUpperCase().replaceAll('-', '_')}`] = value;
    else throw new Error(`unknown flag ${arg}; see npm run test:soak -- --help`);
  }
  return environment;
}

/** Runs one test file and leaves its result file, with `ended` as it was. */
function runTest(name: string, environment: NodeJS.ProcessEnv): void {
  rmSync(join(RESULTS_DIR, `${name}.json`), { force: true });
  const file = join(TESTS_DIR, `${name}${TEST_SUFFIX}`);
  const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'fault', file], {
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
  const result = readResult(name) ?? { scenario: name, title: name, rows: [], ended: false };
  writeResult({ ...result, ended: status === 0 });
}

/** Makes the report of all result files. Returns the scenarios that failed. */
function makeReport(): string[] {
  const results = readdirSync(RESULTS_DIR)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => readResult(basename(file, '.json')) ?? []);
  writeFileSync(REPORT, soakReport(results));
  return results.filter((result) => !passed(result)).map(({ scenario }) => scenario);
}

function main(args: readonly string[]): void {
  if (args.includes('--help')) {
    process.stdout.write(help());
    return;
  }
  if (!args.includes('--report')) {
    const environment = environmentOf(args.filter((arg) => arg.startsWith('-')));
    const named = args.filter((arg) => !arg.startsWith('-'));
    const unknown = named.filter((name) => !testNames().includes(name));
    if (unknown.length > 0) throw new Error(`no such test: ${unknown.join(', ')}; see --help`);
    execFileSync('bash', ['scripts/setup.sh'], { stdio: 'inherit' });
    for (const name of named.length > 0 ? named : testNames()) runTest(name, environment);
    execFileSync('npx', ['biome', 'format', '--write', RESULTS_DIR], { stdio: 'ignore' });
  }
  const failed = makeReport();
  console.log(`${REPORT}: ${failed.length === 0 ? 'all passed' : `FAILED: ${failed.join(', ')}`}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
