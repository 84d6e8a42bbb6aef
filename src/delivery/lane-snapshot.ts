import type { Lane } from './lane.ts';
import type { LaneState } from './lane-parts.ts';

/** A lane at one moment, for metrics and the status page. Totals count from the start of the process. */
export function snapshotLane(lane: Lane): {
  readonly lane: string;
  readonly state: LaneState;
  readonly backlogMessages: number;
  readonly inFlightMessages: number;
  readonly inFlightBytes: number;
  readonly parkedMessages: number;
  readonly acceptedTotal: number;
  readonly directTotal: number;
  readonly storedTotal: number;
  readonly publishedTotal: number;
  readonly confirmedTotal: number;
  readonly returnedTotal: number;
  readonly nackedTotal: number;
  readonly channelLossesTotal: number;
  readonly droppedTotal: Readonly<Record<string, number>>;
  readonly damagedTotal: number;
  readonly stalledMs: number;
} {
  const { counters, window } = lane;
  return {
    lane: lane.name,
    state: lane.state,
    backlogMessages: lane.backlogMessages,
    inFlightMessages: window.size,
    inFlightBytes: window.bytes,
    parkedMessages: lane.parkedMessages,
    acceptedTotal: counters.accepted,
    directTotal: counters.direct,
    storedTotal: counters.stored,
    publishedTotal: counters.published,
    confirmedTotal: counters.confirmed,
    returnedTotal: counters.returned,
    nackedTotal: counters.nacked,
    channelLossesTotal: counters.channelLosses,
    droppedTotal: { ...counters.dropped },
    damagedTotal: counters.damaged,
    stalledMs: lane.stalledMs,
  };
}
