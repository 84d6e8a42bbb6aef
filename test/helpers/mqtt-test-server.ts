import { onTestFinished } from 'vitest';
import type { AcceptMessage, MqttObserver, PacketIdStore } from '../../src/mqtt/ports.ts';
import { MqttServer, type MqttServerConfig } from '../../src/mqtt/server.ts';

/** What one test sets; the rest is as in a gateway, on a free port. */
export interface TestServerOptions {
  readonly accept: AcceptMessage;
  readonly config?: Partial<Omit<MqttServerConfig, 'limits'>>;
  readonly limits?: Partial<MqttServerConfig['limits']>;
  readonly packetIdStore?: PacketIdStore;
  readonly observer?: MqttObserver;
}

const MIB_BYTES = 1024 ** 2;
const CONFIG: MqttServerConfig = {
  listeners: [{ host: '127.0.0.1', port: 0 }],
  maxPayloadBytes: 262_144,
  connectTimeoutMs: 5000,
  maxConnections: 100,
  maxInflightQos2: 100,
  drainTimeoutMs: 60_000,
  limits: {
    maxRetainedMessages: 10_000,
    maxRetainedBytes: 16 * MIB_BYTES,
    maxSubscriptionsPerClient: 100,
    maxSubscriptionBytes: 32 * MIB_BYTES,
    maxFilterBytes: 1024,
    maxSessions: 10_000,
    sessionExpiryMs: 604_800_000,
    maxQueuedBytes: 16 * MIB_BYTES,
    maxQueuedBytesPerClient: MIB_BYTES,
    maxWillBytes: 16 * MIB_BYTES,
  },
};
const silent = { debug: () => {}, warn: () => {}, error: () => {} };

/** An MQTT server for one test, closed when the test is over. */
export async function startMqttServer(
  options: TestServerOptions,
): Promise<{ readonly server: MqttServer; readonly port: number }> {
  const { config, limits, ...parts } = options;
  const server = new MqttServer({
    ...parts,
    config: { ...CONFIG, ...config, limits: { ...CONFIG.limits, ...limits } },
    log: silent,
  });
  onTestFinished(() => server.close());
  await server.start();
  return { server, port: server.addresses()[0]?.port ?? 0 };
}
