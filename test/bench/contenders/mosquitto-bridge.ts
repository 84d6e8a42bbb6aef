import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { connectAsync } from 'mqtt';
import { exitOf, spawnOwned } from '../../helpers/child-process.ts';
import { freePort } from '../../helpers/free-port.ts';
import { BenchProcess } from '../bench-process.ts';
import type { Contender, ContenderSetup, RunningContender } from '../contender.ts';

/** Where Debian has the server; `setup.sh --bench` installs it. */
export const MOSQUITTO: string = '/usr/sbin/mosquitto';
/** Client identifier of the bridge. */
const BRIDGE = 'bridge';
const POLL_MS = 20;
const START_LIMIT_MS = 10_000;

/** Its limits of queued and inflight messages are lifted: with the defaults it would throw messages away. */
const CONFIG = (port: number, dir: string): string => `
listener ${port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location ${dir}/
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
log_type error
user root
`;

/** Mosquitto with persistence, and a script that takes from it and publishes to the central broker. */
export const mosquittoBridge: Contender = {
  name: 'mosquitto-bridge',
  about:
    'Mosquitto with persistence (saved every 30 minutes, its default) and the bridge script that people write: MQTT.js, which acknowledges to Mosquitto what it was given, to a confirm channel of amqplib that nobody waits for. PUBACK means that Mosquitto has the message in memory.',
  start: async (setup) => {
    const port = await freePort();
    const config = `${setup.dir}/mosquitto.conf`;
    await writeFile(config, CONFIG(port, setup.dir).trimStart());
    await bindCentralQueue(setup);
    const mosquitto = await startMosquitto(setup, config, port);
    await makeSession(port);
    return withBridge({ setup, config, port, mosquitto });
  },
};

async function startMosquitto(
  { wrapper = [] }: ContenderSetup,
  config: string,
  port: number,
): Promise<ChildProcess> {
  const [first = MOSQUITTO, ...rest] = [...wrapper, MOSQUITTO, '-c', config];
  const mosquitto = spawnOwned(first, rest, { stdio: 'ignore' });
  await accepts(port);
  return mosquitto;
}

/** Subscribes for the bridge, so that Mosquitto queues for it from the beginning, also with the central broker away. */
async function makeSession(port: number): Promise<void> {
  const client = await connectAsync(urlOf(port), { clientId: BRIDGE, clean: false });
  await client.subscribeAsync('devices/#', { qos: 1 });
  await client.endAsync();
}

interface Parts {
  readonly setup: ContenderSetup;
  readonly config: string;
  readonly port: number;
  readonly mosquitto: ChildProcess;
}

async function withBridge({ setup, config, port, mosquitto }: Parts): Promise<RunningContender> {
  const bridge = BenchProcess.start('contenders/bridge-script.ts', {
    mqttUrl: urlOf(port),
    amqpUrl: setup.uplinkUrl,
    exchange: `exchange-${setup.queue}`,
    clientId: BRIDGE,
  });
  await bridge.said('started');
  const stop = async (): Promise<void> => {
    await bridge.kill();
    mosquitto.kill('SIGTERM');
    await exitOf(mosquitto);
  };
  return {
    mqttPort: port,
    pids: [mosquitto.pid ?? 0, bridge.pid],
    restart: async () => {
      await stop();
      const beganMs = performance.now();
      const again = await startMosquitto(setup, config, port);
      const startMs = performance.now() - beganMs;
      return { running: await withBridge({ setup, config, port, mosquitto: again }), startMs };
    },
    stop,
  };
}

function urlOf(port: number): string {
  return `mqtt://127.0.0.1:${port}`;
}

async function bindCentralQueue({ central, queue }: ContenderSetup): Promise<void> {
  const model = await connect(central.url);
  const channel = await model.createChannel();
  await channel.assertExchange(`exchange-${queue}`, 'topic', { durable: true });
  await channel.bindQueue(queue, `exchange-${queue}`, '#');
  await model.close();
}

async function accepts(port: number): Promise<void> {
  const deadlineMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    const socket = connectTcp(port, '127.0.0.1');
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isUp) return;
    if (performance.now() > deadlineMs) throw new Error('mosquitto does not accept connections');
    await delay(POLL_MS);
  }
}
