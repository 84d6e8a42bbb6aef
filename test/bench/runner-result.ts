import type { MachineFacts } from './facts.ts';
import type { Measured, Scenario } from './scenario.ts';

/** One measurement that was made, or failed. */
export interface Round {
  /** From 1; measurements of the same number were made one after the other and form pairs. */
  readonly round: number;
  readonly subject: string;
  /** Absent when the measurement failed. */
  readonly measured?: Measured;
  /** Why it failed. */
  readonly failure?: string;
  /** How long it took with all that belongs to it. */
  readonly seconds: number;
}

/** All that the report needs of a scenario, so that it is made from such files alone. */
export type Description = Omit<Scenario, 'measure' | 'rounds'>;

/** The content of one result file. */
export interface ScenarioResult extends Description {
  readonly facts: MachineFacts;
  readonly rounds: readonly Round[];
}

/** What the rounds of that subject gave for that metric, failed ones left out. */
export function valuesOf(
  { rounds }: Pick<ScenarioResult, 'rounds'>,
  subject: string,
  metric: string,
): number[] {
  return rounds
    .filter((round) => round.subject === subject)
    .map(({ measured }) => measured?.[metric])
    .filter((value) => value !== undefined);
}

/** The metrics that were measured, in the order in which they first came. */
export function metricsOf({ rounds }: Pick<ScenarioResult, 'rounds'>): string[] {
  return [...new Set(rounds.flatMap(({ measured }) => Object.keys(measured ?? {})))];
}

/** The subjects of which no measurement succeeded. */
export function unmeasured({
  subjects,
  rounds,
}: Pick<ScenarioResult, 'subjects' | 'rounds'>): string[] {
  return subjects.filter(
    (subject) => !rounds.some((round) => round.subject === subject && round.measured !== undefined),
  );
}
