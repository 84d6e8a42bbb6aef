import type { Command } from 'commander';
import { errorText, GatewayError } from '../shared/errors.ts';
import { loadCheckedConfig } from './checked-config.ts';
import { DryRun } from './dry-run.ts';
import { EXIT_USAGE } from './exit-code.ts';
import { outcomeJson } from './explain-text.ts';
import { printable } from './parked-text.ts';
import { differences } from './test-cases-compare.ts';
import { readTestCases, type TestCase } from './test-cases-file.ts';

/** Exit codes of the command, as documented in docs/commands.md. */
const EXIT_FAILED = 1;

/** Client identifier where a case gives none. */
const DEFAULT_CLIENT = 'client';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** What became of one case. */
interface CaseResult {
  readonly name: string;
  readonly line: number;
  /** Empty: as expected. */
  readonly differences: readonly string[];
  /** For scripts. */
  readonly outcome: object;
}

/** `tidegate test`: cases of messages, and what should become of them. Exit codes: 0 all hold, 1 some do not, 2 wrong usage or a file with faults. */
export function addTestCommand(program: Command): void {
  program
    .command('test')
    .description('check what becomes of the messages of a file with cases')
    .argument('<file>', 'YAML file with cases')
    .option('--config <file>', 'YAML config; without it the defaults apply')
    .option('--json', 'answer in JSON')
    .action(async (file: string, options: Options) => {
      try {
        const results = await runCases(file, options);
        const isFine = results.every((result) => result.differences.length === 0);
        const json = { ok: isFine, cases: results };
        process.stdout.write(`${options.json ? JSON.stringify(json) : textOf(file, results)}\n`);
        process.exitCode = isFine ? 0 : EXIT_FAILED;
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        process.stderr.write(`${errorText(error)}\n`);
        process.exitCode = EXIT_USAGE;
      }
    });
}

async function runCases(file: string, options: Options): Promise<CaseResult[]> {
  const config = loadCheckedConfig(options.config);
  const cases = readTestCases(file);
  const dryRun = new DryRun(config);
  dryRun.start();
  try {
    const results: CaseResult[] = [];
    for (const one of cases) results.push(await runCase(dryRun, one));
    return results;
  } finally {
    await dryRun.close();
  }
}

async function runCase(dryRun: DryRun, one: TestCase): Promise<CaseResult> {
  const { name, line, topic, payload, client = DEFAULT_CLIENT, username, expected } = one;
  const outcome = await dryRun.run({
    ...{ topic, payload, qos: 1, dup: false, retain: false, clientId: client },
    ...(username === undefined ? {} : { username }),
    receivedAtMs: Date.now(),
  });
  const shown =
    outcome.kind === 'mapped' ? { ...outcome, lanes: outcome.lanes.map(outcomeJson) } : outcome;
  return { name, line, differences: differences(expected, outcome), outcome: shown };
}

function textOf(file: string, results: readonly CaseResult[]): string {
  const failed = results.filter((result) => result.differences.length > 0);
  const lines = results.flatMap((result) => {
    if (result.differences.length === 0) return [`✓ ${result.name}`];
    const reasons = result.differences.map((difference) => `    ${difference}`);
    return [`✗ ${result.name} (${file}:${result.line})`, ...reasons];
  });
  const end = `${results.length} cases, ${failed.length} failed`;
  return [...lines, end].map(printable).join('\n');
}
