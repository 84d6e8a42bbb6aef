import type { Registry } from 'prom-client';
import type { ClockQuality } from '../clock/clock-judge.ts';
import { byKey, pullCounter, pullGauge, single } from './pulled-metric.ts';
import type { GatewaySnapshot } from './sources.ts';

type Reader = (snapshot: GatewaySnapshot) => number | boolean;
type Row = readonly [name: string, help: string, read: Reader];

const COUNTERS: readonly Row[] = [
  [
    'messages_unmatched_total',
    'Messages acknowledged although no mapping matched.',
    (now) => now.ingest.unmatchedTotal,
  ],
  ['store_appends_total', 'Messages appended to the store.', (now) => now.store.appendsTotal],
  ['store_batches_total', 'Synced writes to the store.', (now) => now.store.batchesTotal],
  [
    'store_bytes_written_total',
    'Bytes written to the store.',
    (now) => now.store.bytesWrittenTotal,
  ],
  ['store_write_errors_total', 'Writes that failed.', (now) => now.store.writeErrorsTotal],
  [
    'store_reopens_total',
    'Times the store was closed and opened to recover from a write error.',
    (now) => now.store.reopensTotal,
  ],
  ['amqp_reconnects_total', 'Connections made again.', (now) => now.amqp.reconnectsTotal],
  [
    'log_lines_dropped_total',
    'Log lines the standard output did not take.',
    (now) => now.log.droppedTotal,
  ],
  [
    'clock_steps_total',
    'Times the wall clock was set by more than a second.',
    (now) => now.clock.stepsTotal,
  ],
  ['config_reloads_total', 'Reloads that took effect.', (now) => now.config.reloadsTotal],
  [
    'config_reload_failures_total',
    'Reloads after which the old config went on.',
    (now) => now.config.reloadFailuresTotal,
  ],
];

const GAUGES: readonly Row[] = [
  ['mqtt_connections', 'Clients connected.', (now) => now.mqtt.connections],
  [
    'ingest_pending_bytes',
    'Payloads that arrived and are not yet safe.',
    (now) => now.ingest.pendingBytes,
  ],
  ['store_writable', '1 while the store takes writes.', (now) => now.store.writable],
  ['store_size_bytes', 'Size of the store on disk.', (now) => now.store.sizeBytes],
  [
    'store_moved',
    '1 in a run that found its store moved from another machine, put back or copied.',
    ({ store: { origin } }) => origin === 'moved' || origin === 'copied',
  ],
  ['amqp_connected', '1 while connected to a broker.', (now) => now.amqp.connected],
  [
    'amqp_blocked',
    '1 while the broker asks to stop publishing (connection.blocked).',
    (now) => now.amqp.blocked,
  ],
  [
    'gateway_id_conflict',
    '1 while another gateway with the same gateway.id is connected to the broker.',
    (now) => now.amqp.idTaken,
  ],
  [
    'config_reload_failed',
    '1 if the last reload failed: what runs is not what the file says.',
    (now) => now.config.reloadFailed,
  ],
  [
    'config_restart_keys',
    'Changed keys that take a restart, at the last reload.',
    (now) => now.config.restartKeys.length,
  ],
];

const CLOCK_QUALITIES: readonly ClockQuality[] = ['synced', 'corrected', 'unsynced'];

/** Registers what there is once a gateway: ingest, store, AMQP, MQTT connections, log. */
export function registerGatewayMetrics(registry: Registry, snapshot: () => GatewaySnapshot): void {
  for (const [name, help, read] of COUNTERS) {
    pullCounter(registry, { name: `tidegate_${name}`, help, read: () => single(read(snapshot())) });
  }
  for (const [name, help, read] of GAUGES) {
    pullGauge(registry, { name: `tidegate_${name}`, help, read: () => single(read(snapshot())) });
  }
  pullCounter(registry, {
    name: 'tidegate_messages_refused_total',
    help: 'Messages not taken.',
    labelNames: ['reason'],
    read: () => byKey('reason', snapshot().ingest.refusedTotal),
  });
  pullGauge(registry, {
    name: 'tidegate_clock_quality',
    help: '1 for what the wall clock is worth, 0 for the others.',
    labelNames: ['state'],
    read: () =>
      CLOCK_QUALITIES.map((state) => ({
        labels: { state },
        value: Number(snapshot().clock.quality === state),
      })),
  });
}
