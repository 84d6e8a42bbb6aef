import { fileURLToPath } from 'node:url';
import { MUTANTS } from './mutants/list.ts';
import type { Mutant } from './mutants/mutant.ts';
import { Tree } from './mutants/tree.ts';
import { proveGreen, tryMutant, type Verdict } from './mutants/trial.ts';

const HELP = `Usage: npm run test:mutants [-- NAME… | --list | --help]

Breaks a copy of the product, one place at a time, and runs the tests that should notice. Prints which test does. A mutant
that no test catches is a missing test: exit code 1.

  NAME…    only these
  --list   the mutants, and what each breaks
  --help   this text
`;

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

function chosen(names: readonly string[]): readonly Mutant[] {
  const unknown = names.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}; see --list`);
  return names.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => names.includes(name));
}

function list(): string {
  return MUTANTS.map(({ name, breaks, file }) => `${name}\n    ${breaks} (${file})\n`).join('');
}

function row({ mutant, caughtBy, seconds }: Verdict): string {
  const by = caughtBy === undefined ? 'NOT CAUGHT' : `${caughtBy.file} › ${caughtBy.title}`;
  return `${mutant.name} | ${by} | ${seconds.toFixed(1)}`;
}

/** Resolves with how many were not caught. */
async function run(mutants: readonly Mutant[], signal: AbortSignal): Promise<number> {
  const tree = await Tree.copyOf(REPOSITORY);
  try {
    console.log(`${mutants.length} mutants; first their tests without any`);
    await proveGreen(tree, mutants, signal);
    console.log('mutant | caught by | seconds');
    let notCaught = 0;
    for (const mutant of mutants) {
      const verdict = await tryMutant(tree, mutant, signal);
      if (verdict.caughtBy === undefined) notCaught += 1;
      console.log(row(verdict));
    }
    const caught = mutants.length - notCaught;
    console.log(`${mutants.length} mutants, ${caught} caught, ${notCaught} not caught`);
    return notCaught;
  } finally {
    await tree.remove();
  }
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) process.stdout.write(HELP);
  else if (args.includes('--list')) process.stdout.write(list());
  else {
    const stopping = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stopping.abort());
    process.exitCode = (await run(chosen(args), stopping.signal)) === 0 ? 0 : 1;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
