import { Random, seedFor } from '../../firmware-sim/random.ts';

/** What can go wrong in a round. */
export const FAULT_KINDS = [
  'disk-full',
  'failing-write',
  'blocked',
  'frozen',
  'cut',
  'reload',
  'unbind',
  'release',
  'kill',
  'stop',
  'clock',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];
export type WhenFull = 'block' | 'reject' | 'drop-oldest' | 'drop-newest';

/** One fault of a round, from its beginning to its end. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** After the beginning of the round. */
  readonly beginMs: number;
  readonly lengthMs: number;
  /** Which variant of its kind, each a number in [0, 1). */
  readonly choices: readonly number[];
}

/** Faults that are at work at once, and what comes right after them. */
export interface Round {
  readonly faults: readonly PlannedFault[];
  /**
   * The link is cut, and the gateway ended and started again before it is back: what was acknowledged after the
   * faults must then be in the store.
   */
  readonly ending?: 'SIGKILL' | 'SIGTERM';
}

/** All that one seed says. */
export interface Plan {
  readonly seed: number;
  readonly mode: 'adaptive' | 'disk-first';
  readonly whenFull: WhenFull;
  /** Of a lane in the store; absent is no limit. */
  readonly maxMessages?: number;
  /** Longer than any run. */
  readonly maxAgeMs?: number;
  readonly rounds: readonly Round[];
}

/** Of all rounds: 5 of 10 end with a kill, 2 with a stop. */
const KILLED = 0.5;
const STOPPED = 0.7;
const MODES = ['adaptive', 'disk-first'] as const;
const POLICIES: readonly WhenFull[] = ['block', 'reject', 'drop-oldest', 'drop-newest'];
const ROUNDS = 2;
const LATEST_BEGIN_MS = 1_500;
const LENGTH_MS = { least: 300, most: 3_500 };
/** Less than comes to a lane while the broker is away for some seconds. */
const MAX_MESSAGES = 400;
const MAX_AGE_MS = 3_600_000;
/** As many as the fault with the most needs. */
const CHOICES = 4;
/** The part of all rounds that has a third fault. */
const THREE = 0.5;

/** The plan of that seed, the same each time. */
export function drawPlan(seed: number): Plan {
  const random = new Random(seedFor(seed, 'combinations'));
  const pick = <T>(from: readonly [T, ...T[]]): T =>
    from[Math.floor(random.between(0, from.length))] ?? from[0];
  return {
    seed,
    mode: pick(MODES),
    whenFull: pick(POLICIES as [WhenFull, ...WhenFull[]]),
    ...(random.next() < 0.5 ? { maxMessages: MAX_MESSAGES } : {}),
    ...(random.next() < 0.5 ? { maxAgeMs: MAX_AGE_MS } : {}),
    rounds: Array.from({ length: ROUNDS }, () => drawRound(random)),
  };
}

function drawRound(random: Random): Round {
  const faults = drawFaults(random);
  const chance = random.next();
  if (chance < KILLED) return { faults, ending: 'SIGKILL' };
  return chance < STOPPED ? { faults, ending: 'SIGTERM' } : { faults };
}

function drawFaults(random: Random): PlannedFault[] {
  const left: FaultKind[] = [...FAULT_KINDS];
  const count = random.next() < THREE ? 3 : 2;
  return Array.from({ length: count }, () => {
    const [kind = 'kill'] = left.splice(Math.floor(random.between(0, left.length)), 1);
    return {
      kind,
      beginMs: Math.floor(random.between(0, LATEST_BEGIN_MS)),
      lengthMs: Math.floor(random.between(LENGTH_MS.least, LENGTH_MS.most)),
      choices: Array.from({ length: CHOICES }, () => random.next()),
    };
  });
}

/** Whether a loss by that policy is one that the plan asks for. */
export function drops({ whenFull, maxMessages }: Plan): boolean {
  return maxMessages !== undefined && whenFull.startsWith('drop');
}

/** The plan in a line, for people. */
export function describePlan(plan: Plan): string {
  const { mode, whenFull, maxMessages, maxAgeMs, rounds } = plan;
  const limits = [
    maxMessages === undefined ? 'no limit' : `${whenFull} at ${maxMessages}`,
    ...(maxAgeMs === undefined ? [] : [`maxAgeMs ${maxAgeMs}`]),
  ];
  return `${mode}, ${limits.join(', ')}: ${rounds.map(describeRound).join('; then ')}`;
}

function describeRound({ faults, ending }: Round): string {
  const all = faults.map(describeFault).join(' + ');
  return ending === undefined ? all : `${all}, then ${ending}`;
}

/** One fault in some words, for people. */
export function describeFault({ kind, beginMs, lengthMs, choices }: PlannedFault): string {
  const shown = choices.map((choice) => choice.toFixed(2)).join(' ');
  return `${kind} from ${beginMs} ms for ${lengthMs} ms (${shown})`;
}

/** All pairs of these, each under one name. */
export function pairsOf(kinds: readonly string[]): string[] {
  return kinds.flatMap((one, index) =>
    kinds.slice(index + 1).map((other) => [one, other].sort().join('+')),
  );
}
