import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ConfirmChannel, connect } from 'amqplib';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { exitOf, type ProcessExit, spawnOwned } from './child-process.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { GatewayProcess } from './gateway-process.ts';
import { laneState, scrape } from './scrape.ts';
import { sharedAmqpUrl } from './shared-rabbit.ts';
import { tempDir } from './temp-dir.ts';

/** How long a consumer may take to start, or a message to arrive, on a busy machine. */
export const EXAMPLE_LIMIT: { readonly withinMs: number } = { withinMs: 20_000 };

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A consumer of `examples/` as a process of its own. */
export interface ExampleConsumer {
  readonly exited: Promise<ProcessExit>;
  /** Lines of its standard output so far. */
  lines(): string[];
  /** Its standard error so far. */
  errors(): string;
  /** Ends it with SIGKILL and waits for the end. */
  kill(): Promise<void>;
}

/** A gateway that runs the config of an example. */
export interface ExampleGateway {
  readonly adminPort: number;
  /** Publishes over MQTT with QoS 1; resolves with the PUBACK. */
  publish(topic: string, payload: string | object): Promise<void>;
}

/** Runs a consumer, with a path inside `examples/`; resolves when it consumes. Ends with the test. */
export async function runConsumer(path: string, ...args: string[]): Promise<ExampleConsumer> {
  const file = fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
  const child = spawnOwned(process.execPath, [file, ...args], {
    env: { PATH: process.env['PATH'], AMQP_URL: sharedAmqpUrl() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = exitOf(child);
  let [output, errors] = ['', ''];
  child.stdout?.on('data', (text) => {
    output += text;
  });
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  await eventually(() => expect(errors).toContain('consuming'), EXAMPLE_LIMIT);
  return {
    exited,
    lines: () =>
      output
        .slice(0, output.lastIndexOf('\n') + 1)
        .split('\n')
        .filter(Boolean),
    errors: () => errors,
    kill,
  };
}

/** A channel to the shared RabbitMQ, closed when the test ends. */
export async function brokerChannel(): Promise<ConfirmChannel> {
  const connection = await connect(sharedAmqpUrl());
  onTestFinished(() => connection.close());
  return connection.createConfirmChannel();
}

interface Topology {
  readonly mappings: readonly {
    readonly name: string;
    readonly exchange: { readonly name: string };
    readonly exchanges?: readonly { readonly name: string }[];
    readonly queues?: readonly { readonly name: string }[];
  }[];
}

/** Removes what the config declares: the names in the examples are the same in each run. */
async function removeTopology({ mappings }: Topology): Promise<void> {
  const connection = await connect(sharedAmqpUrl());
  const channel = await connection.createChannel();
  for (const { exchange, exchanges = [], queues = [] } of mappings) {
    for (const { name } of queues) await channel.deleteQueue(name);
    for (const { name } of [exchange, ...exchanges]) await channel.deleteExchange(name);
  }
  await connection.close();
}

/**
 * Starts the built gateway with `examples/NAME/config.yaml` as it stands; ports, store and broker come from the
 * environment. Resolves when all is declared. When the test ends it is stopped and what it declared is removed.
 */
export async function startExampleGateway(name: string): Promise<ExampleGateway> {
  const file = fileURLToPath(new URL(`../../examples/${name}/config.yaml`, import.meta.url));
  const topology: Topology = parse(readFileSync(file, 'utf8'));
  onTestFinished(() => removeTopology(topology));
  const dir = await tempDir('example');
  const [mqttPort, adminPort] = [await freePort(), await freePort()];
  const child = spawnOwned(process.execPath, [MAIN, 'run', '--config', file], {
    cwd: dir,
    env: {
      PATH: process.env['PATH'],
      TIDEGATE__GATEWAY__ID: 'example',
      TIDEGATE__MQTT__LISTENERS: JSON.stringify([{ host: '127.0.0.1', port: mqttPort }]),
      TIDEGATE__ADMIN__PORT: String(adminPort),
      TIDEGATE__AMQP__URLS: JSON.stringify([sharedAmqpUrl()]),
      TIDEGATE__STORE__PATH: `${dir}/store`,
      TIDEGATE__STORE__RESERVEBYTES: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gateway = new GatewayProcess(child);
  await gateway.waitUntilReady();
  onTestFinished(async () => void (await gateway.stop()));
  // A lane opens when all that it declares is there; before that a consumer would find no queue.
  await eventually(async () => {
    const metrics = await scrape(adminPort);
    const states = topology.mappings.map((mapping) => laneState(metrics, mapping.name));
    for (const state of states) expect(['direct', 'spilling']).toContain(state);
  }, EXAMPLE_LIMIT);
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`);
  onTestFinished(() => device.endAsync(true));
  return {
    adminPort,
    publish: async (topic, payload) => {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      await device.publishAsync(topic, text, { qos: 1 });
    },
  };
}
