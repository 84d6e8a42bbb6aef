import type { Registry } from 'prom-client';
import { pullCounter, pullGauge, type Sample } from './pulled-metric.ts';
import type { LaneSnapshot, LaneState } from './sources.ts';

type LaneReader = (lane: LaneSnapshot) => number;

const LANE_STATES: readonly LaneState[] = ['direct', 'spilling', 'draining', 'stalled'];
const MS_PER_SECOND = 1000;

const COUNTERS: readonly (readonly [name: string, help: string, read: LaneReader])[] = [
  ['accepted', 'Messages that arrived for the lane.', (lane) => lane.acceptedTotal],
  ['direct', 'Messages made safe by the confirm alone.', (lane) => lane.directTotal],
  ['stored', 'Messages made safe by the store.', (lane) => lane.storedTotal],
  ['published', 'Publishes to the broker, repetitions included.', (lane) => lane.publishedTotal],
  ['confirmed', 'Messages the broker confirmed.', (lane) => lane.confirmedTotal],
  ['returned', 'Messages no queue was bound for (basic.return).', (lane) => lane.returnedTotal],
  ['nacked', 'Messages the broker refused (basic.nack).', (lane) => lane.nackedTotal],
  ['channel_losses', 'Channels of the lane that were lost.', (lane) => lane.channelLossesTotal],
  [
    'refused_full',
    'Messages refused for want of room in the store.',
    (lane) => lane.refusedFullTotal,
  ],
  [
    'damaged',
    'Stored or parked messages found unreadable or missing.',
    (lane) => lane.damagedTotal,
  ],
];

const GAUGES: readonly (readonly [name: string, help: string, read: LaneReader])[] = [
  ['backlog_messages', 'Messages stored and not settled.', (lane) => lane.backlogMessages],
  ['backlog_bytes', 'Bytes of the backlog, roughly.', (lane) => lane.backlogBytes],
  [
    'waiting_messages',
    'Messages whose PUBACK is held back until the store has room.',
    (lane) => lane.waitingMessages,
  ],
  ['in_flight_messages', 'Messages waiting for the confirm.', (lane) => lane.inFlightMessages],
  ['in_flight_bytes', 'Bytes waiting for the confirm.', (lane) => lane.inFlightBytes],
  ['parked_messages', 'Messages kept apart by reason of a refusal.', (lane) => lane.parkedMessages],
  [
    'oldest_unsettled_age_seconds',
    'Age of the oldest message accepted and not settled, 0 when there is none.',
    (lane) => (lane.oldestUnsettledAgeMs ?? 0) / MS_PER_SECOND,
  ],
  [
    'stalled_seconds',
    'How long confirms that are due have made no progress.',
    (lane) => lane.stalledMs / MS_PER_SECOND,
  ],
];

/** Registers `tidegate_lane_…`, each value under the label `lane`. */
export function registerLaneMetrics(
  registry: Registry,
  lanes: () => readonly LaneSnapshot[],
): void {
  const each = (read: LaneReader) => (): readonly Sample[] =>
    lanes().map((lane) => ({ labels: { lane: lane.lane }, value: read(lane) }));
  for (const [name, help, read] of COUNTERS) {
    const labelNames = ['lane'];
    pullCounter(registry, {
      name: `tidegate_lane_${name}_total`,
      help,
      labelNames,
      read: each(read),
    });
  }
  for (const [name, help, read] of GAUGES) {
    pullGauge(registry, {
      name: `tidegate_lane_${name}`,
      help,
      labelNames: ['lane'],
      read: each(read),
    });
  }
  pullCounter(registry, {
    name: 'tidegate_lane_dropped_total',
    help: 'Messages given up, by reason.',
    labelNames: ['lane', 'reason'],
    read: () => lanes().flatMap(droppedSamples),
  });
  pullGauge(registry, {
    name: 'tidegate_lane_state',
    help: '1 for the state the lane is in, 0 for the others.',
    labelNames: ['lane', 'state'],
    read: () => lanes().flatMap(stateSamples),
  });
}

function droppedSamples(lane: LaneSnapshot): Sample[] {
  return Object.entries(lane.droppedTotal).map(([reason, value]) => ({
    labels: { lane: lane.lane, reason },
    value,
  }));
}

function stateSamples(lane: LaneSnapshot): Sample[] {
  return LANE_STATES.map((state) => ({
    labels: { lane: lane.lane, state },
    value: Number(lane.state === state),
  }));
}
