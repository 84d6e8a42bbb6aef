import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EXEC_ARGV_VARIABLE } from '../test/bench/contenders/tidegate.ts';
import { type CpuProfile, callTree } from '../test/bench/cpu-profile.ts';
import { flameGraph } from '../test/bench/profile-flame.ts';
import { profileTables } from '../test/bench/profile-table.ts';
import { asText, subjectTable } from '../test/bench/report-table.ts';
import { benchDir, withPlace } from '../test/bench/runner-place.ts';
import type { Measured, Scenario } from '../test/bench/scenario.ts';
import { scenarios } from '../test/bench/scenarios/index.ts';

const HELP = `Usage: npm run profile SCENARIO [SUBJECT]

Makes one measurement of a scenario with the gateway under --cpu-prof, prints where its time went, and leaves
SCENARIO-SUBJECT.cpuprofile and a flame graph (.svg) in .bench/profile. Subject is by default the first that is Tidegate.
What is measured meanwhile is some percent slower than without.
`;

/** Fine enough for a measurement of some seconds, and costs little. */
const SAMPLE_EVERY_US = 500;

/** @throws {Error} when there is no such scenario or subject. */
function chosen([name = '', wanted]: readonly string[]): { scenario: Scenario; subject: string } {
  const scenario = scenarios.find((each) => each.name === name);
  const names = scenarios.map((each) => each.name).join(', ');
  if (scenario === undefined) throw new Error(`no scenario "${name}"; there are: ${names}`);
  const subject = scenario.subjects.find((each) =>
    wanted === undefined ? each.startsWith('tidegate') : each === wanted,
  );
  if (subject !== undefined) return { scenario, subject };
  throw new Error(`no such subject; there are: ${scenario.subjects.join(', ')}`);
}

/** Measures, and returns the profile of the gateway: the largest where several processes wrote one. */
async function profiled(
  scenario: Scenario,
  subject: string,
): Promise<{ measured: Measured; profile: string }> {
  return withPlace(async (dir, central) => {
    const [stage, profiles] = [join(dir, 'stage'), join(dir, 'profiles')];
    await mkdir(stage);
    process.env[EXEC_ARGV_VARIABLE] = JSON.stringify([
      '--cpu-prof',
      `--cpu-prof-dir=${profiles}`,
      `--cpu-prof-interval=${SAMPLE_EVERY_US}`,
    ]);
    const measured = await scenario.measure(subject, { dir: stage, central, say: console.log });
    const written = readdirSync(profiles).map((file) => join(profiles, file));
    const [largest] = written.sort((a, b) => statSync(b).size - statSync(a).size);
    if (largest === undefined) throw new Error(`${subject} wrote no profile`);
    const profile = join(benchDir(), 'profile', `${scenario.name}-${subject}.cpuprofile`);
    mkdirSync(join(benchDir(), 'profile'), { recursive: true });
    copyFileSync(largest, profile);
    return { measured, profile };
  });
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) return console.log(HELP);
  const { scenario, subject } = chosen(args);
  const { measured, profile } = await profiled(scenario, subject);
  const root = callTree(JSON.parse(readFileSync(profile, 'utf8')) as CpuProfile);
  const graph = profile.replace(/cpuprofile$/, 'svg');
  writeFileSync(graph, flameGraph(`${scenario.name}, ${subject}`, root));
  const rounds = [{ round: 1, subject, measured, seconds: 0 }];
  console.log(asText(subjectTable({ subjects: [subject], rounds })));
  console.log(profileTables(root));
  console.log(`${profile}\n${graph}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
