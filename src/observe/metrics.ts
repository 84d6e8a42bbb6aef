import { Registry } from 'prom-client';
import type { QoS } from '../shared/message.ts';
import { registerGatewayMetrics } from './gateway-metrics.ts';
import { registerLaneMetrics } from './lane-metrics.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { byKey, pullCounter, pullGauge } from './pulled-metric.ts';
import { type GatewaySnapshot, type SnapshotSources, takeSnapshot } from './sources.ts';

/** From one confirm in a local network, 1 ms, to a device's patience, 10 s. */
const PUBACK_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * What became of an MQTT connection: CONNACK 0; refused before or by CONNACK; ended by DISCONNECT; ended
 * without (MQTT 3.1.1 §3.14.4).
 */
export type ConnectionResult = 'accepted' | 'refused' | 'closed';

/** The live side, for the MQTT server. Cheap enough for every message. */
export interface MqttMeter {
  /** A PUBLISH arrived, with the bytes of its payload. */
  received(qos: QoS, payloadBytes: number): void;
  /** A PUBACK left so long after its PUBLISH arrived. */
  pubackLatency(ms: number): void;
  connection(result: ConnectionResult): void;
}

export interface Metrics extends MqttMeter {
  /** Of `text()`, as in the HTTP header. */
  readonly contentType: string;
  /** Everything in the text format of Prometheus, read from the sources now. */
  text(): Promise<string>;
  /** What is registered, for the docs. */
  describe(): readonly MetricDescription[];
  /** Ends the probing of the event loop. */
  stop(): void;
}

export interface MetricDescription {
  readonly name: string;
  readonly type: string;
  readonly labelNames: readonly string[];
  readonly help: string;
}

/**
 * The metrics of one gateway in a registry of its own. All but the PUBACK histogram are read from the
 * sources at a scrape, so that counting costs the hot path an addition.
 */
export function createMetrics(sources: SnapshotSources, version: string): Metrics {
  const registry = new Registry();
  let snapshot: GatewaySnapshot | undefined;
  const latest = (): GatewaySnapshot => {
    snapshot ??= takeSnapshot(sources);
    return snapshot;
  };
  registerGatewayMetrics(registry, latest);
  registerLaneMetrics(registry, () => latest().lanes);
  const meter = registerMqttMeter(registry);
  const stop = registerProcessMetrics(registry);
  registerBuildInfo(registry, version);
  return {
    ...meter,
    contentType: registry.contentType,
    text: () => {
      snapshot = takeSnapshot(sources);
      return registry.metrics();
    },
    describe: () => describeRegistry(registry),
    stop,
  };
}

function registerMqttMeter(registry: Registry): MqttMeter {
  const messages = { 0: 0, 1: 0, 2: 0 };
  const connections = { accepted: 0, refused: 0, closed: 0 };
  let payloadBytes = 0;
  pullCounter(registry, {
    name: 'tidegate_mqtt_messages_received_total',
    help: 'PUBLISH packets of devices.',
    labelNames: ['qos'],
    read: () => byKey('qos', messages),
  });
  pullCounter(registry, {
    name: 'tidegate_mqtt_received_bytes_total',
    help: 'Payload bytes of these PUBLISH packets.',
    read: () => [{ value: payloadBytes }],
  });
  pullCounter(registry, {
    name: 'tidegate_mqtt_connection_events_total',
    help: 'Connections accepted, refused and ended.',
    labelNames: ['result'],
    read: () => byKey('result', connections),
  });
  const latency = new LatencyHistogram({
    name: 'tidegate_mqtt_puback_duration_seconds',
    help: 'From the arrival of a QoS 1 PUBLISH to its PUBACK.',
    buckets: PUBACK_BUCKETS_SECONDS,
  });
  latency.register(registry);
  return {
    received: (qos, bytes) => {
      messages[qos] += 1;
      payloadBytes += bytes;
    },
    pubackLatency: (ms) => latency.observe(ms),
    connection: (result) => {
      connections[result] += 1;
    },
  };
}

function registerBuildInfo(registry: Registry, version: string): void {
  pullGauge(registry, {
    name: 'tidegate_build_info',
    help: 'Always 1; the label says what runs.',
    labelNames: ['version'],
    read: () => [{ labels: { version }, value: 1 }],
  });
}

function describeRegistry(registry: Registry): MetricDescription[] {
  return registry.getMetricsAsArray().map((metric) => ({
    name: metric.name,
    type: String(metric.type),
    labelNames: 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [],
    help: metric.help,
  }));
}
