import { machineFacts } from '../test/bench/facts.ts';
import { factsLine } from '../test/bench/report.ts';
import { asText, goalTable, subjectTable } from '../test/bench/report-table.ts';
import { runScenario } from '../test/bench/runner.ts';
import { judge } from '../test/bench/runner-goals.ts';
import { withPlace } from '../test/bench/runner-place.ts';
import { type ScenarioResult, unmeasured } from '../test/bench/runner-result.ts';
import type { Scenario } from '../test/bench/scenario.ts';
import { scenarios } from '../test/bench/scenarios/index.ts';
import { REPORT, writeReport, writeResult } from './bench-files.ts';

const HELP = `Usage: npm run bench [-- NAME… FLAG…]

Puts Tidegate, what could stand in its place, and the limits of the machine to the same work in turns, and makes
${REPORT} of the results. Without names all scenarios run that are marked with * in --list.
The exit code is 1 when something could not be measured; a goal that is missed leaves it at 0.

  --rounds=N  instead of what each scenario wants
  --all       all scenarios, also those that only run by name
  --report    only make the report, of the results there are
  --list      names and titles
  --help      this text

TIDEGATE_BENCH_DIR=DIR  where all files of the runs go, on a real disk (default .bench)
`;

const FLAGS = /^--(all|report|list|help|rounds=[1-9]\d*)$/;

function say(line: string): void {
  console.log(line);
}

function list(): string {
  return scenarios
    .map(({ name, title, isDefault }) => `${isDefault ? '*' : ' '} ${name.padEnd(16)} ${title}\n`)
    .join('');
}

/** @throws {Error} when a flag or a name is not known. */
function chosen(args: readonly string[]): Scenario[] {
  const wrong = args.find((arg) => arg.startsWith('-') && !FLAGS.test(arg));
  if (wrong !== undefined) throw new Error(`unknown flag ${wrong}; see npm run bench -- --help`);
  const names = args.filter((arg) => !arg.startsWith('-'));
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(', ')}; see --list`);
  const isAll = args.includes('--all');
  return scenarios.filter(({ name, isDefault }) =>
    names.length > 0 ? names.includes(name) : isAll || isDefault,
  );
}

function tell(result: ScenarioResult): void {
  say(`\n${result.title}\n\n${asText(subjectTable(result))}`);
  const verdicts = result.goals.map((goal) => judge(goal, result));
  if (verdicts.length > 0) say(asText(goalTable(verdicts)));
}

/** Runs them one after the other; each result is kept as soon as it is there. Returns whether all was measured. */
async function runAll(wanted: readonly Scenario[], rounds: number | undefined): Promise<boolean> {
  return withPlace(async (dir, central) => {
    const facts = await machineFacts(dir);
    say(factsLine(facts));
    let isComplete = true;
    for (const scenario of wanted) {
      const context = { dir, central, facts, say, ...(rounds === undefined ? {} : { rounds }) };
      const result = await runScenario(scenario, context);
      writeResult(result);
      tell(result);
      isComplete &&= unmeasured(result).length === 0;
    }
    return isComplete;
  });
}

async function main(args: readonly string[]): Promise<void> {
  const wanted = chosen(args);
  if (args.includes('--help')) return say(HELP);
  if (args.includes('--list')) return say(list());
  if (!args.includes('--report')) {
    const rounds = args.find((arg) => arg.startsWith('--rounds='))?.split('=')[1];
    const isComplete = await runAll(wanted, rounds === undefined ? undefined : Number(rounds));
    if (!isComplete) process.exitCode = 1;
  }
  writeReport();
  say(`${REPORT} is made`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
