import { connect as connectTcp, type Socket } from 'node:net';
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';

const PATIENCE_MS = 5000;

/** What a test says of a PUBLISH; payload `x`, QoS 1, no flags by default. */
export interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly dup?: boolean;
  readonly retain?: boolean;
  readonly payload?: string | Buffer;
}

/** An MQTT client that sends what it is told, also what is wrong, and answers nothing by itself. */
export class RawMqttClient {
  readonly socket: Socket;
  readonly received: Packet[] = [];
  closed = false;

  constructor(port: number) {
    this.socket = connectTcp({ host: '127.0.0.1', port, noDelay: true });
    const incoming = parser();
    incoming.on('packet', (packet) => this.received.push(packet));
    this.socket.on('data', (bytes) => incoming.parse(bytes));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  /** Connects and waits for CONNACK 0. Session is kept unless `clean`. */
  static async open(port: number, options: Partial<IConnectPacket> = {}): Promise<RawMqttClient> {
    const client = new RawMqttClient(port);
    client.connect(options);
    await client.waitFor('connack');
    return client;
  }

  connect(options: Partial<IConnectPacket> = {}): void {
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId: 'device-1',
      clean: true,
      keepalive: 0,
      ...options,
    });
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet));
  }

  publish(packetId: number, topic: string, options: PublishOptions = {}): void {
    this.socket.write(publishBytes(packetId, topic, options));
  }

  /** The first packet of that kind, as soon as `count` of them are there. */
  waitFor(cmd: Packet['cmd'], count = 1): Promise<Packet> {
    return eventually(
      () => {
        const found = this.received.filter((packet) => packet.cmd === cmd);
        const [first] = found;
        if (first === undefined || found.length < count) {
          throw new Error(`${found.length} of ${count} ${cmd}`);
        }
        return first;
      },
      { withinMs: PATIENCE_MS, everyMs: 2 },
    );
  }

  /** Packet identifiers of the packets of that kind, in order. */
  ids(cmd: Packet['cmd']): (number | undefined)[] {
    return this.received.filter((packet) => packet.cmd === cmd).map(({ messageId }) => messageId);
  }

  /** Resolves when the server has handled all that was sent before: anything it would have answered is here. */
  async settled(): Promise<void> {
    const pings = this.received.filter(({ cmd }) => cmd === 'pingresp').length;
    this.send({ cmd: 'pingreq' });
    await this.waitFor('pingresp', pings + 1);
  }

  async waitForClose(): Promise<void> {
    await eventually(
      () => {
        if (!this.closed) throw new Error('the connection is open');
      },
      { withinMs: PATIENCE_MS, everyMs: 2 },
    );
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** The bytes of a PUBLISH. */
export function publishBytes(
  packetId: number,
  topic: string,
  options: PublishOptions = {},
): Buffer {
  const { qos = 1, dup = false, retain = false, payload = 'x' } = options;
  const base = { cmd: 'publish', topic, payload, qos, dup, retain } as const;
  return generate(qos === 0 ? base : { ...base, messageId: packetId });
}
