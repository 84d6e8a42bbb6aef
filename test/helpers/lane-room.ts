import { BackfillGovernor } from '../../src/delivery/backfill.ts';
import type { Gap } from '../../src/delivery/gap-manifest.ts';
import { LaneBudgets } from '../../src/delivery/lane-budgets.ts';
import type { LaneParts } from '../../src/delivery/lane-parts.ts';

const UNHURRIED = { maxInFlightMessages: 100_000, targetConfirmMs: 60_000, maxStartDelayMs: 0 };

/** What makes a lane that is never full and catches up without restraint; `gaps` gets what it gives up. */
export function roomyLane(
  gaps: Gap[] = [],
): Pick<
  LaneParts,
  'limits' | 'whenFull' | 'storeFullness' | 'backfill' | 'gaps' | 'ageMs' | 'budgets'
> {
  return {
    limits: {},
    whenFull: 'block',
    storeFullness: () => 0,
    ageMs: ({ elapsedMs = 0 }) => performance.now() - elapsedMs,
    backfill: new BackfillGovernor(UNHURRIED, () => 0).lane(100_000),
    budgets: new LaneBudgets(Number.POSITIVE_INFINITY),
    gaps: {
      record: async (gap) => {
        gaps.push(gap);
      },
    },
  };
}
