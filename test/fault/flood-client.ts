import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate, parser } from 'mqtt-packet';

/** PUBLISHes that are out at once: enough to keep a group commit full, few enough for 16 bit identifiers. */
const WINDOW = 100;

export interface FloodOptions {
  readonly port: number;
  readonly clientId: string;
  /** At most 65,535: the counter of a message is its packet identifier. */
  readonly messageCount: number;
  /** The payload of the message with that counter, from 1. */
  readonly payload: (counter: number) => string;
  readonly onSent: (counter: number) => void;
  readonly onAcknowledged: (counter: number) => void;
}

/**
 * Publishes with QoS 1 as fast as it is acknowledged, over a connection that must not break, and resolves when all
 * is acknowledged. It costs the machine little, which it shares with the gateway.
 */
export async function flood(options: FloodOptions): Promise<void> {
  const { port, clientId, messageCount } = options;
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  let sent = 0;
  let acknowledged = 0;
  const sendMore = (): void => {
    socket.cork();
    while (sent < messageCount && sent - acknowledged < WINDOW) send(socket, options, ++sent);
    socket.uncork();
  };
  const incoming = parser();
  incoming.on('packet', (packet) => {
    if (packet.cmd !== 'puback') return;
    acknowledged++;
    options.onAcknowledged(packet.messageId ?? 0);
    if (acknowledged === messageCount) socket.end(generate({ cmd: 'disconnect' }));
  });
  socket.on('data', (bytes) => {
    incoming.parse(bytes);
    if (acknowledged < messageCount) sendMore();
  });
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId,
      clean: true,
      keepalive: 0,
    }),
  );
  await once(socket, 'close');
  if (acknowledged < messageCount) {
    throw new Error(`${clientId} was closed after ${acknowledged} of ${messageCount} PUBACKs`);
  }
}

function send(socket: Socket, options: FloodOptions, counter: number): void {
  options.onSent(counter);
  const topic = `devices/${options.clientId}/telemetry/flood`;
  const payload = options.payload(counter);
  socket.write(
    generate({
      cmd: 'publish',
      topic,
      payload,
      qos: 1,
      dup: false,
      retain: false,
      messageId: counter,
    }),
  );
}
