import { setTimeout as sleep } from 'node:timers/promises';
import { RATE_PER_SECOND, type Stage } from './stage.ts';

/** One act of the demo. */
export interface Phase {
  readonly title: string;
  /** What happens at its start. */
  readonly begin?: (stage: Stage) => Promise<void> | void;
  /** Share of the phase that is done, 0 … 1; the phase ends at 1. */
  readonly progress: (stage: Stage, elapsedMs: number) => number;
  /** It ends then in any case, in ms. Default: none, its progress is a matter of time. */
  readonly limitMs?: number;
}

const HEALTHY_MS = 10_000;
const UPLINK_DOWN_MS = 10_000;
/** After the restart the uplink stays down for a while: the store grows on. */
const RESTARTED_MS = 6_000;
/** Long enough to see that live messages flow again behind the backlog. */
const UPLINK_BACK_AT_LEAST_MS = 8_000;
const CATCH_UP_LIMIT_MS = 60_000;
const SETTLE_LIMIT_MS = 30_000;
const DRAIN_LIMIT_MS = 20_000;
/** The live flow is seen as caught up when less than this is under way: a quarter of a second. */
const UNDER_WAY = RATE_PER_SECOND / 4;
/** How often it is looked whether a phase has ended, in ms. */
const CHECK_MS = 100;

/** The story: healthy, uplink down, gateway killed meanwhile, uplink back, everything drained. */
export const PHASES: readonly Phase[] = [
  { title: 'All is well: messages flow through.', progress: lasting(HEALTHY_MS) },
  {
    title: 'The uplink is cut. Devices notice nothing; the store fills.',
    begin: ({ parts }) => parts.uplink.cut(),
    progress: lasting(UPLINK_DOWN_MS),
  },
  {
    title: 'The gateway is killed (SIGKILL) and started again, with the uplink still down.',
    begin: async ({ parts }) => {
      await parts.gateway.kill();
      await parts.gateway.start();
    },
    progress: lasting(RESTARTED_MS),
  },
  {
    title: 'The uplink is back. The backlog drains while devices go on sending.',
    begin: ({ parts }) => parts.uplink.restore(),
    progress: (stage, elapsedMs) =>
      Math.min(caughtUp(stage), lasting(UPLINK_BACK_AT_LEAST_MS)(stage, elapsedMs)),
    limitMs: CATCH_UP_LIMIT_MS,
  },
  {
    title: 'The devices stop measuring and send what they hold.',
    begin: ({ parts }) => parts.fleet.stopMeasuring(),
    progress: ({ parts }) => 1 / (1 + parts.fleet.held),
    limitMs: SETTLE_LIMIT_MS,
  },
  {
    title: 'The rest drains.',
    progress: ({ ledger, parts }) =>
      1 / (1 + Math.max(ledger.lostIds().length, parts.meter.latest ?? 0)),
    limitMs: DRAIN_LIMIT_MS,
  },
];

/**
 * Plays one phase to its end. Rejects when the signal aborts.
 * @throws {Error} with its last log lines when the gateway has ended by itself.
 */
export async function play(phase: Phase, stage: Stage, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  await phase.begin?.(stage);
  while (true) {
    const elapsedMs = performance.now() - startedMs;
    if (phase.progress(stage, elapsedMs) >= 1) return;
    if (phase.limitMs !== undefined && elapsedMs > phase.limitMs) return; // the verdict will tell
    const { gateway } = stage.parts;
    if (!gateway.isRunning) throw new Error(`the gateway has ended by itself\n${gateway.logTail}`);
    await sleep(CHECK_MS, undefined, { signal });
  }
}

function lasting(durationMs: number): (stage: Stage, elapsedMs: number) => number {
  return (_, elapsedMs) => Math.min(1, elapsedMs / durationMs);
}

/** How much of the largest backlog is gone, 0 … 1. */
function caughtUp({ parts, ledger }: Stage): number {
  const { acknowledged, delivered } = ledger.verdict();
  const behind = parts.meter.latest ?? acknowledged - delivered;
  if (behind <= UNDER_WAY) return 1;
  return Math.max(0, 1 - behind / Math.max(parts.meter.peak, behind));
}
