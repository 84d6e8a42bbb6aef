import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';

/** A method on its way to the broker (AMQP 0-9-1 §2.3.5.1). */
export interface SentMethod {
  /** Class and method id, such as `50.10` for queue.declare. */
  readonly id: string;
  /** The whole frame. Names in it are readable. */
  readonly frame: Buffer;
}

const PROTOCOL_HEADER_BYTES = 8; // AMQP 0-9-1 §4.2.2
const FRAME_HEAD_BYTES = 7; // type, channel, size (§4.2.3)
const FRAME_END_BYTES = 1;
const METHOD_FRAME = 1;

/** Frames of one channel that are held back, with the way they would go. */
interface HeldChannel {
  readonly broker: Socket;
  readonly frames: Buffer[];
}

/**
 * A TCP proxy before a broker that holds single channels back, as when a broker works on one method for ever: from the
 * first method that `holds` picks on, nothing of its channel gets through. Everything else does, with heartbeats.
 */
export class AmqpHold {
  readonly port: number;
  /** Which method hangs. Default none. */
  holds: (method: SentMethod) => boolean = () => false;
  readonly #server: Server;
  readonly #held = new Map<string, HeldChannel>();
  readonly #sockets = new Set<Socket>();
  #accepted = 0;

  constructor(port: number, brokerPort: number) {
    this.port = port;
    this.#server = createServer((client) => this.#relay(client, brokerPort));
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
  }

  /** Channels that are held back now. */
  get heldChannels(): number {
    return this.#held.size;
  }

  /** How many connections it has accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Holds nothing any more, and lets go what it has held. */
  release(): void {
    this.holds = () => false;
    for (const { broker, frames } of this.#held.values()) broker.write(Buffer.concat(frames));
    this.#held.clear();
  }

  /** Cuts all connections, with what it has held, and holds nothing any more. */
  cut(): void {
    this.holds = () => false;
    this.#held.clear();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(client: Socket, brokerPort: number): void {
    this.#accepted += 1;
    const connection = this.#accepted;
    const broker = connect(brokerPort, '127.0.0.1');
    broker.pipe(client);
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        broker.destroy();
      });
    }
    let rest = Buffer.alloc(0);
    let isOpened = false;
    client.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      if (!isOpened && rest.length >= PROTOCOL_HEADER_BYTES) {
        isOpened = true;
        broker.write(rest.subarray(0, PROTOCOL_HEADER_BYTES));
        rest = rest.subarray(PROTOCOL_HEADER_BYTES);
      }
      while (isOpened && rest.length >= FRAME_HEAD_BYTES) {
        const length = FRAME_HEAD_BYTES + rest.readUInt32BE(3) + FRAME_END_BYTES;
        if (rest.length < length) break;
        this.#pass(connection, rest.subarray(0, length), broker);
        rest = rest.subarray(length);
      }
    });
  }

  #pass(connection: number, frame: Buffer, broker: Socket): void {
    const key = `${connection}/${frame.readUInt16BE(1)}`;
    const held = this.#held.get(key);
    if (held !== undefined) held.frames.push(frame);
    else if (this.#isHeld(frame)) this.#held.set(key, { broker, frames: [frame] });
    else broker.write(frame);
  }

  #isHeld(frame: Buffer): boolean {
    if (frame[0] !== METHOD_FRAME) return false;
    const id = `${frame.readUInt16BE(FRAME_HEAD_BYTES)}.${frame.readUInt16BE(FRAME_HEAD_BYTES + 2)}`;
    return this.holds({ id, frame });
  }
}

/** Starts one before the broker of that URL; it is closed when the test ends. */
export async function startAmqpHold(amqpUrl: string): Promise<AmqpHold & { readonly url: string }> {
  const target = new URL(amqpUrl);
  const hold = new AmqpHold(await freePort(), Number(target.port));
  await hold.start();
  onTestFinished(() => hold.close());
  target.port = String(hold.port);
  return Object.assign(hold, { url: target.href });
}
