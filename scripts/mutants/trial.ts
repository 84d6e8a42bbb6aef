import type { CatchingTest, Mutant } from './mutant.ts';
import { build, runTests } from './test-run.ts';
import type { Tree } from './tree.ts';

/** What became of one mutant. */
export interface Verdict {
  readonly mutant: Mutant;
  /** The test that failed; undefined when none did. */
  readonly caughtBy: { readonly file: string; readonly title: string } | undefined;
  readonly seconds: number;
}

/**
 * Runs all tests that should notice any of these mutants, without a mutant.
 * @throws {Error} when one fails, or is not there.
 */
export async function proveGreen(
  tree: Tree,
  mutants: readonly Mutant[],
  signal: AbortSignal,
): Promise<void> {
  const tests = distinct(mutants.flatMap((mutant) => mutant.tests));
  if (tests.some(({ needsBuild }) => needsBuild)) await build(tree.root, signal);
  for (const group of runnable(tests)) {
    const { passed, failed, output } = await runTests(tree.root, group, signal);
    if (failed.length > 0) throw new Error(`Without any mutant these fail: ${failed.join('; ')}`);
    if (passed.length === 0) throw new Error(`No test was run of ${name(group)}:\n${output}`);
    for (const { title = '' } of group) {
      if (!passed.some((one) => one.includes(title)))
        throw new Error(`There is no test "${title}" in ${name(group)}.`);
    }
  }
}

/** Puts the mutant in, and runs the tests that should notice it until one does. */
export async function tryMutant(tree: Tree, mutant: Mutant, signal: AbortSignal): Promise<Verdict> {
  const startedAtMs = performance.now();
  const takeOut = await tree.breakBy(mutant);
  try {
    const caughtBy = await firstFailure(tree, mutant.tests, signal);
    return { mutant, caughtBy, seconds: (performance.now() - startedAtMs) / 1_000 };
  } finally {
    await takeOut();
  }
}

async function firstFailure(
  tree: Tree,
  tests: readonly CatchingTest[],
  signal: AbortSignal,
): Promise<Verdict['caughtBy']> {
  for (const test of tests) {
    if (test.needsBuild) await build(tree.root, signal);
    const { failed, passed, output } = await runTests(tree.root, [test], signal);
    const [title] = failed;
    if (title !== undefined) return { file: test.file, title };
    // A mutant that keeps the file from being loaded breaks the tests, not the product.
    if (passed.length === 0) throw new Error(`No test was run of ${test.file}:\n${output}`);
  }
  return undefined;
}

/** Groups that one run can take: a pattern of titles is for all files of a run. */
function runnable(tests: readonly CatchingTest[]): CatchingTest[][] {
  const groups = new Map<string, CatchingTest[]>();
  for (const test of tests) {
    const isWhole = tests.some(({ file, title }) => file === test.file && title === undefined);
    const key = `${test.project} ${test.needsBroker} ${isWhole ? '' : test.file}`;
    groups.set(key, [...(groups.get(key) ?? []), test]);
  }
  return [...groups.values()];
}

function distinct(tests: readonly CatchingTest[]): CatchingTest[] {
  return [...new Map(tests.map((one) => [`${one.file} ${one.title}`, one])).values()];
}

function name(tests: readonly CatchingTest[]): string {
  return [...new Set(tests.map(({ file }) => file))].join(', ');
}
