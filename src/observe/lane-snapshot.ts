import type { Lane } from '../delivery/lane.ts';
import type { LaneSnapshot } from './sources.ts';

/** A lane at one moment, for metrics and the status. */
export function snapshotLane(lane: Lane): LaneSnapshot {
  const { counters, window } = lane;
  return {
    lane: lane.name,
    state: lane.state,
    backlogMessages: lane.backlogMessages,
    backlogBytes: lane.backlogBytes,
    waitingMessages: lane.waitingMessages,
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
    refusedFullTotal: counters.refusedFull,
    droppedTotal: { ...counters.dropped },
    damagedTotal: counters.damaged,
    stalledMs: lane.stalledMs,
  };
}
