import { connect } from 'amqplib';
import { freePort } from '../../helpers/free-port.ts';
import { type RabbitNode, startRabbitNode } from '../../helpers/rabbitmq-node.ts';
import type { Contender, ContenderSetup, RunningContender } from '../contender.ts';

const LOCAL_QUEUE = 'telemetry';
/** Unconfirmed messages of the Shovel, its default: neither 250 nor 5,000 drained faster. */
const SHOVEL_PREFETCH = 1_000;
/** In s. */
const RECONNECT_DELAY = 1;
/** RabbitMQ's default. The smaller log of the nodes of tests costs a third more written bytes and some of the ingest. */
const WAL_BYTES = 536_870_912;
/** Above it RabbitMQ reads nothing from its clients, not even the CONNECT of new ones: 10,000 take 2.0 GB. */
const MEMORY_LIMIT = '4GB';

const CONFIG = (mqttPort: number): string => `
mqtt.listeners.tcp.1 = 127.0.0.1:${mqttPort}
mqtt.tcp_listen_options.nodelay = true
raft.wal_max_size_bytes = ${WAL_BYTES}
vm_memory_high_watermark.absolute = ${MEMORY_LIMIT}
`;

/** RabbitMQ on the box: its MQTT plugin, a durable local queue, and a Shovel to the central broker. */
export function rabbitmqShovel(type: 'quorum' | 'classic', about: string): Contender {
  return {
    name: `rabbitmq-shovel-${type}`,
    about,
    start: async (setup) => {
      const mqttPort = await freePort();
      const node = await startRabbitNode({
        dir: `${setup.dir}/rabbitmq`,
        plugins: ['rabbitmq_mqtt', 'rabbitmq_shovel'],
        config: CONFIG(mqttPort),
        ...(setup.wrapper === undefined ? {} : { wrapper: setup.wrapper }),
      });
      await declareLocalQueue(node, type);
      await startShovel(node, setup);
      return running(node, mqttPort);
    },
  };
}

function running(node: RabbitNode, mqttPort: number): RunningContender {
  return {
    mqttPort,
    pids: [node.pid],
    restart: async () => {
      await node.shutDown();
      const beganMs = performance.now();
      await node.start();
      return { running: running(node, mqttPort), startMs: performance.now() - beganMs };
    },
    stop: () => node.stop(),
  };
}

async function declareLocalQueue(node: RabbitNode, type: string): Promise<void> {
  const model = await connect(node.url);
  const channel = await model.createChannel();
  await channel.assertQueue(LOCAL_QUEUE, { arguments: { 'x-queue-type': type } });
  await channel.bindQueue(LOCAL_QUEUE, 'amq.topic', 'devices.#');
  await model.close();
}

async function startShovel(node: RabbitNode, { uplinkUrl, queue }: ContenderSetup): Promise<void> {
  const shovel = {
    'src-protocol': 'amqp091',
    'src-uri': 'amqp://', // within the node, without TCP
    'src-queue': LOCAL_QUEUE,
    'src-prefetch-count': SHOVEL_PREFETCH,
    'dest-protocol': 'amqp091',
    'dest-uri': uplinkUrl,
    'dest-queue': queue,
    'ack-mode': 'on-confirm',
    'reconnect-delay': RECONNECT_DELAY,
  };
  await node.ctl('set_parameter', 'shovel', 'uplink', JSON.stringify(shovel));
}
