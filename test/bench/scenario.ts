import type { Central } from './central.ts';

/** Numbers of one measurement, with the unit in each name: `messagesPerSecond`, `pubackP99Ms`. */
export type Measured = Readonly<Record<string, number>>;

/** The stage that a scenario plays on. */
export interface Stage {
  /** For this measurement alone: exists, is empty, and lies on a real disk. */
  readonly dir: string;
  readonly central: Central;
  /** One line for the person who waits. */
  say(line: string): void;
}

/** How one number of one contender is judged. */
export interface Goal {
  /** In words, as in the table. */
  readonly what: string;
  readonly metric: string;
  readonly of: string;
  /** The contender it is compared with; absent: the number itself counts. */
  readonly against?: string;
  /** `ratio`: of / against. `inverse`: against / of (times). `difference`: of − against. `value`: as it is. */
  readonly as: 'ratio' | 'inverse' | 'difference' | 'value';
  /** Which side is good. */
  readonly isGood: 'high' | 'low';
  readonly atLeast: number;
  readonly aim: number;
  /** Unit of the compared number, `×` for ratios. */
  readonly unit: string;
}

/** One piece of work that contenders are put to, in turns. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What is done and what the numbers mean, for the report; a few sentences. */
  readonly about: string;
  /** Names in the order of one round: of contenders, or of the points of a curve. */
  readonly subjects: readonly string[];
  readonly rounds: number;
  /** Part of the run without names (about 10 minutes in all), or only by name. */
  readonly isDefault: boolean;
  readonly goals: readonly Goal[];
  /** For a curve: its metric against the number that stands in the subject's name. */
  readonly chart?: { readonly metric: string; readonly unit: string };
  /**
   * One measurement of one subject.
   * @throws {Error} when a message is missing at the far end, or anything else makes the numbers worthless.
   */
  measure(subject: string, stage: Stage): Promise<Measured>;
}
