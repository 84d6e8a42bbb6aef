import { type ScenarioResult, valuesOf } from './runner-result.ts';
import type { Goal } from './scenario.ts';
import { type Spread, spread } from './statistics.ts';

/** How a goal came out. */
export interface Verdict {
  readonly goal: Goal;
  /** Over the rounds in which all of its sides were measured; absent when there was none. */
  readonly compared: Spread | undefined;
  readonly outcome: 'aim' | 'at least' | 'missed' | 'not measured';
}

/**
 * Judges a goal by the median. What is compared with another contender is compared round by round: the machine
 * drifts, and the two sides of a round were measured one soon after the other.
 */
export function judge(goal: Goal, result: Pick<ScenarioResult, 'rounds'>): Verdict {
  const numbers = [...new Set(result.rounds.map(({ round }) => round))];
  const compared = spread(
    numbers
      .map((number) => ({ rounds: result.rounds.filter(({ round }) => round === number) }))
      .map((round) => compare(goal, round))
      .filter((value) => value !== undefined && Number.isFinite(value))
      .map(Number),
  );
  return { goal, compared, outcome: outcomeOf(goal, compared?.median) };
}

function compare(goal: Goal, round: Pick<ScenarioResult, 'rounds'>): number | undefined {
  const [of] = valuesOf(round, goal.of, goal.metric);
  if (of === undefined || goal.as === 'value') return of;
  const [against] = goal.against === undefined ? [] : valuesOf(round, goal.against, goal.metric);
  if (against === undefined) return undefined;
  if (goal.as === 'difference') return of - against;
  return goal.as === 'ratio' ? of / against : against / of;
}

function outcomeOf(goal: Goal, value: number | undefined): Verdict['outcome'] {
  if (value === undefined) return 'not measured';
  const reaches = (limit: number): boolean =>
    goal.isGood === 'high' ? value >= limit : value <= limit;
  if (reaches(goal.aim)) return 'aim';
  return reaches(goal.atLeast) ? 'at least' : 'missed';
}
