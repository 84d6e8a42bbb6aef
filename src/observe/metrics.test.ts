import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { createMetrics, type Metrics } from './metrics.ts';
import type { LaneSnapshot, SnapshotSources } from './sources.ts';

const LANE: LaneSnapshot = {
  lane: 'telemetry',
  state: 'spilling',
  backlogBytes: 0,
  waitingMessages: 0,
  refusedFullTotal: 0,
  backlogMessages: 7,
  inFlightMessages: 3,
  inFlightBytes: 600,
  parkedMessages: 2,
  acceptedTotal: 100,
  directTotal: 60,
  storedTotal: 40,
  publishedTotal: 93,
  confirmedTotal: 90,
  returnedTotal: 1,
  nackedTotal: 4,
  channelLossesTotal: 5,
  droppedTotal: { 'drop-oldest': 6 },
  damagedTotal: 8,
  oldestUnsettledAgeMs: 1500,
  stalledMs: 250,
};

/** Sources whose lanes can be exchanged. */
class FakeSources implements SnapshotSources {
  current: LaneSnapshot[] = [LANE];
  lanes = (): LaneSnapshot[] => this.current;
  store = (): ReturnType<SnapshotSources['store']> => ({
    writable: true,
    appendsTotal: 40,
    batchesTotal: 10,
    bytesWrittenTotal: 9000,
    writeErrorsTotal: 1,
    reopensTotal: 1,
    sizeBytes: 123,
    origin: 'copied',
  });
  amqp = (): ReturnType<SnapshotSources['amqp']> => ({
    connected: false,
    blocked: true,
    reconnectsTotal: 12,
    idTaken: true,
  });
  mqtt = (): { connections: number } => ({ connections: 20 });
  ingest = (): ReturnType<SnapshotSources['ingest']> => ({
    unmatchedTotal: 9,
    refusedTotal: { overloaded: 11 },
    pendingBytes: 77,
  });
  log = (): { droppedTotal: number } => ({ droppedTotal: 13 });
  config = (): ReturnType<SnapshotSources['config']> => ({
    reloadsTotal: 14,
    reloadFailuresTotal: 15,
    reloadFailed: true,
    restartKeys: ['store.path'],
  });
  clock = (): ReturnType<SnapshotSources['clock']> => ({ quality: 'corrected', stepsTotal: 16 });
}

function create(sources: SnapshotSources = new FakeSources()): Metrics {
  const metrics = createMetrics(sources, '1.2.3');
  onTestFinished(() => metrics.stop());
  return metrics;
}

test.each([
  'tidegate_lane_backlog_messages{lane="telemetry"} 7',
  'tidegate_lane_in_flight_bytes{lane="telemetry"} 600',
  'tidegate_lane_state{lane="telemetry",state="spilling"} 1',
  'tidegate_lane_state{lane="telemetry",state="direct"} 0',
  'tidegate_lane_confirmed_total{lane="telemetry"} 90',
  'tidegate_lane_dropped_total{lane="telemetry",reason="drop-oldest"} 6',
  'tidegate_lane_oldest_unsettled_age_seconds{lane="telemetry"} 1.5',
  'tidegate_lane_stalled_seconds{lane="telemetry"} 0.25',
  'tidegate_messages_unmatched_total 9',
  'tidegate_messages_refused_total{reason="overloaded"} 11',
  'tidegate_store_writable 1',
  'tidegate_store_bytes_written_total 9000',
  'tidegate_amqp_connected 0',
  'tidegate_amqp_blocked 1',
  'tidegate_gateway_id_conflict 1',
  'tidegate_mqtt_connections 20',
  'tidegate_log_lines_dropped_total 13',
  'tidegate_build_info{version="1.2.3"} 1',
  'tidegate_clock_quality{state="corrected"} 1',
  'tidegate_clock_quality{state="unsynced"} 0',
  'tidegate_clock_steps_total 16',
])('a scrape shows %s', async (line) => {
  expect((await create().text()).split('\n')).toContain(line);
});

test('each scrape shows absolute values, also the second one, and forgets a lane that is gone', async () => {
  const sources = new FakeSources();
  const metrics = create(sources);
  await metrics.text();
  expect(await metrics.text()).toContain('tidegate_lane_accepted_total{lane="telemetry"} 100\n');
  sources.current = [{ ...LANE, lane: 'alarms', acceptedTotal: 0 }];
  const text = await metrics.text();
  expect(text).toContain('tidegate_lane_accepted_total{lane="alarms"} 0\n');
  expect(text).not.toContain('telemetry');
});

test('what the MQTT server reports is counted by QoS, result and bucket', async () => {
  const metrics = create();
  metrics.received(1, 200);
  metrics.received(1, 50);
  metrics.received(2, 0);
  metrics.connection('closed');
  for (const ms of [3, 5, 5.001, 10_000, 60_000]) metrics.pubackLatency(ms);
  const lines = (await metrics.text()).split('\n');
  expect(lines).toContain('tidegate_mqtt_messages_received_total{qos="1"} 2');
  expect(lines).toContain('tidegate_mqtt_messages_received_total{qos="0"} 0');
  expect(lines).toContain('tidegate_mqtt_received_bytes_total 250');
  expect(lines).toContain('tidegate_mqtt_connection_events_total{result="closed"} 1');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_bucket{le="0.0025"} 0');
  expect(lines).toContain('# TYPE tidegate_mqtt_puback_duration_seconds histogram');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_bucket{le="0.005"} 2');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_bucket{le="0.01"} 3');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_bucket{le="10"} 4');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_bucket{le="+Inf"} 5');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_sum 70.013001');
  expect(lines).toContain('tidegate_mqtt_puback_duration_seconds_count 5');
});

test('process metrics are plausible', async () => {
  const text = await create().text();
  const value = (name: string): number => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(value('process_start_time_seconds')).toBeLessThanOrEqual(Date.now() / 1000);
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
});

test('names follow the rules of Prometheus', () => {
  for (const { name, type } of create().describe()) {
    expect(name).toMatch(/^(tidegate|process|nodejs)_[a-z0-9_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(name).not.toMatch(/_(ms|kb|mb)\b/);
  }
});

test('docs/metrics.md lists exactly the metrics there are, with type and labels', () => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \|([^|]*)\|/gm)].map(
    ([, name, type, labels]) => `${name} ${type} ${(labels ?? '').replaceAll('`', '').trim()}`,
  );
  const registered = create()
    .describe()
    .map(({ name, type, labelNames }) => `${name} ${type} ${labelNames.join(', ')}`);
  expect(rows.toSorted()).toEqual(registered.toSorted());
});
