import type { DeliveryConfig, FailureAction, LimitsConfig, WhenFull } from '../config/types.ts';
import type { LaneMessage } from '../shared/message.ts';
import type { LaneBackfill } from './backfill.ts';
import type { GapManifest } from './gap-manifest.ts';
import type { LaneBudgets } from './lane-budgets.ts';
import type { LaneLog, Publisher } from './ports.ts';

/** How a lane stands, for people and metrics. */
export type LaneState = 'direct' | 'spilling' | 'draining' | 'stalled';

/** What a lane is made of. */
export interface LaneParts {
  readonly name: string;
  readonly gatewayId: string;
  readonly epoch: number;
  /** See `LaneMessage.run`. */
  readonly run: string;
  /** Time of the gateway now, in ms; see `LaneMessage.elapsedMs`. */
  readonly elapsedMs: () => number;
  /** How old a message is, in ms; never more than it is. */
  readonly ageMs: (message: LaneMessage) => number;
  /** The last seq that a lane of this name gave in this epoch before it ended; the lane goes on counting. Default 0. */
  readonly lastSeq?: number;
  readonly config: Pick<
    DeliveryConfig,
    'mode' | 'spillAfterMs' | 'directAfterMs' | 'window' | 'parkedRetryMs'
  >;
  /** What becomes of a message that no queue is bound for. */
  readonly onUnroutable: FailureAction;
  /** What becomes of a message that the broker refuses (basic.nack). */
  readonly onReject: FailureAction;
  /** Like the three other policies, read anew at each decision: it may change while the lane runs. */
  readonly limits: LimitsConfig;
  /** What becomes of a message that must be stored and finds no room. */
  readonly whenFull: WhenFull;
  /** How full the store as a whole is; above 1 nothing more should go in. */
  readonly storeFullness: () => number;
  /** When the same message is the oldest without its confirm for this long, the channel, then the connection is given up. */
  readonly confirmTimeoutMs: number;
  /** Messages that earlier runs parked. */
  readonly parkedBefore: number;
  readonly log: LaneLog;
  readonly publisher: Publisher;
  readonly backfill: LaneBackfill;
  /** The memory that all lanes share. */
  readonly budgets: LaneBudgets;
  /** Where everything is named that is given up. */
  readonly gaps: Pick<GapManifest, 'record'>;
  readonly onEvent: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}
