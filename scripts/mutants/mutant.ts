/** A project of vitest.config.ts. */
export type Project = 'unit' | 'contract' | 'integration' | 'e2e' | 'fault';

/** A test file that should notice a mutant, or those tests of it that have `title` in their titles. */
export interface CatchingTest {
  readonly project: Project;
  /** Path from the root of the repository. */
  readonly file: string;
  readonly title?: string;
  /** It publishes to a RabbitMQ node that all tests of a run share. */
  readonly needsBroker: boolean;
  /** It runs the gateway as a process, so the mutant is built first. */
  readonly needsBuild: boolean;
}

/** One way to break the product. The tests must notice it. */
export interface Mutant {
  /** Words with hyphens, unique. */
  readonly name: string;
  /** What is broken, one sentence. */
  readonly breaks: string;
  /** Path from the root of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Tried in this order until one fails: the cheapest first. */
  readonly tests: readonly CatchingTest[];
}

/** A unit test, beside its source. */
export function unit(file: string, title?: string): CatchingTest {
  return test('unit', `src/${file}`, title, {});
}

/** A contract test that needs no broker. */
export function contract(file: string, title?: string): CatchingTest {
  return test('contract', `test/contract/${file}`, title, {});
}

/** A test of the store or of the MQTT side, which needs no broker. */
export function integration(file: string, title?: string): CatchingTest {
  return test('integration', `test/integration/${file}`, title, {});
}

/** A contract or integration test against RabbitMQ. */
export function withBroker(
  project: 'contract' | 'integration',
  file: string,
  title?: string,
): CatchingTest {
  return test(project, `test/${project}/${file}`, title, { needsBroker: true });
}

/** A test of the whole gateway, as a process. */
export function withGateway(project: 'e2e' | 'fault', file: string, title?: string): CatchingTest {
  return test(project, `test/${project}/${file}`, title, { needsBroker: true, needsBuild: true });
}

/** How often the text to find occurs in the source. A mutant fits when that is once. */
export function occurrences(source: string, { find }: Pick<Mutant, 'find'>): number {
  return source.split(find).length - 1;
}

/**
 * The source with the mutant in it.
 * @throws {Error} when the mutant does not fit.
 */
export function mutated(source: string, mutant: Mutant): string {
  const found = occurrences(source, mutant);
  if (found !== 1)
    throw new Error(
      `The mutant ${mutant.name} no longer fits: its text occurs ${found} times in ${mutant.file}.`,
    );
  return source.replace(mutant.find, () => mutant.replace);
}

function test(
  project: Project,
  file: string,
  title: string | undefined,
  needs: Partial<Pick<CatchingTest, 'needsBroker' | 'needsBuild'>>,
): CatchingTest {
  const titled = title === undefined ? {} : { title };
  return { project, file, needsBroker: false, needsBuild: false, ...titled, ...needs };
}
