import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Central } from './central.ts';
import type { MachineFacts } from './facts.ts';
import type { Round, ScenarioResult } from './runner-result.ts';
import type { Scenario } from './scenario.ts';

const MS_PER_SECOND = 1000;

/** What all measurements of a run share. */
export interface RunContext {
  /** Each measurement gets a folder below it. */
  readonly dir: string;
  readonly central: Central;
  readonly facts: MachineFacts;
  /** Instead of what each scenario wants. */
  readonly rounds?: number;
  say(line: string): void;
}

/**
 * Measures all subjects in turns, A B C A B C: so that what changes on the machine meanwhile meets them all. A
 * measurement that throws is told and does not count.
 */
export async function runScenario(
  scenario: Scenario,
  context: RunContext,
): Promise<ScenarioResult> {
  const rounds: Round[] = [];
  const wanted = context.rounds ?? scenario.rounds;
  for (let round = 1; round <= wanted; round += 1) {
    for (const subject of scenario.subjects) {
      context.say(`${scenario.name} ${round}/${wanted}: ${subject}`);
      rounds.push(await measure({ scenario, subject, round, context }));
    }
  }
  const { measure: _, rounds: __, ...description } = scenario;
  return { ...description, facts: { ...context.facts, date: new Date().toISOString() }, rounds };
}

interface Measurement {
  readonly scenario: Scenario;
  readonly subject: string;
  readonly round: number;
  readonly context: RunContext;
}

async function measure({ scenario, subject, round, context }: Measurement): Promise<Round> {
  const name = `${scenario.name}-${subject}-${round}`.replaceAll(/[^\w.-]+/g, '-');
  const dir = join(context.dir, name);
  const say = (line: string): void => context.say(`  ${line}`);
  const beganMs = performance.now();
  const seconds = (): number => (performance.now() - beganMs) / MS_PER_SECOND;
  try {
    await mkdir(dir, { recursive: true });
    const measured = await scenario.measure(subject, { dir, central: context.central, say });
    return { round, subject, measured, seconds: seconds() };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${error instanceof Error ? error.stack : failure}`);
    return { round, subject, failure, seconds: seconds() };
  } finally {
    // What a failed measurement left running may still write there.
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
