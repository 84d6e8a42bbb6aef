import { onTestFinished } from 'vitest';
import type { AcceptMessage, MqttObserver } from '../../src/mqtt/ports.ts';
import { MqttServer, type MqttServerConfig } from '../../src/mqtt/server.ts';

/** What one test sets; the rest is as in a gateway, on a free port. */
export interface TestServerOptions {
  readonly accept: AcceptMessage;
  readonly config?: Partial<MqttServerConfig>;
  readonly observer?: MqttObserver;
}

const CONFIG: MqttServerConfig = {
  listeners: [{ host: '127.0.0.1', port: 0 }],
  maxPayloadBytes: 262_144,
  connectTimeoutMs: 5000,
  maxConnections: 100,
  maxInflightQos2: 100,
  drainTimeoutMs: 60_000,
};
const silent = { debug: () => {}, warn: () => {}, error: () => {} };

/** An MQTT server for one test, closed when the test is over. */
export async function startMqttServer(
  options: TestServerOptions,
): Promise<{ readonly server: MqttServer; readonly port: number }> {
  const { accept, config = {}, observer = {} } = options;
  const server = new MqttServer({
    config: { ...CONFIG, ...config },
    accept,
    observer,
    log: silent,
  });
  onTestFinished(() => server.close());
  await server.start();
  return { server, port: server.addresses()[0]?.port ?? 0 };
}
