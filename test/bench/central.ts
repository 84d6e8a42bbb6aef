import { freePort } from '../helpers/free-port.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { CentralQueue } from './arrivals.ts';

/** RabbitMQ's own default for a listener of its config. */
const ACCEPTORS = 10;

/** A way to the central broker that nobody listens on until it is opened. */
export interface CutUplink {
  readonly url: string;
  open(): Promise<void>;
}

/** The central broker: one node of RabbitMQ for all measurements of a run. */
export class Central {
  readonly #node: RabbitNode;
  /** Port of its MQTT plugin. */
  readonly mqttPort: number;
  #queues = 0;

  constructor(node: RabbitNode, mqttPort: number) {
    this.#node = node;
    this.mqttPort = mqttPort;
  }

  static async start(dir: string): Promise<Central> {
    const mqttPort = await freePort();
    const node = await startRabbitNode({
      dir,
      plugins: ['rabbitmq_mqtt'],
      config: `mqtt.listeners.tcp.1 = 127.0.0.1:${mqttPort}\nmqtt.tcp_listen_options.nodelay = true`,
    });
    return new Central(node, mqttPort);
  }

  /** AMQP URL of the user guest. */
  get url(): string {
    return this.#node.url;
  }

  /** A new, empty queue. */
  queue(): Promise<CentralQueue> {
    this.#queues += 1;
    return CentralQueue.declare(this.url, `bench-${this.#queues}`);
  }

  /** A further listener of the broker, for one cut and one return of the link: no proxy stands in the way that is measured. */
  async cutUplink(): Promise<CutUplink> {
    const url = new URL(this.url);
    const port = await freePort();
    url.port = String(port);
    return {
      url: url.href,
      open: async () => {
        const call = `rabbit_networking:start_tcp_listener({"127.0.0.1", ${port}}, ${ACCEPTORS}).`;
        await this.#node.ctl('eval', call);
      },
    };
  }

  stop(): Promise<void> {
    return this.#node.stop();
  }
}
