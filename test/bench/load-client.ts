import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import type { Filler } from './filler.ts';

const CONNACK = 0x20;
const PUBACK = 0x40;
const PUBACK_BYTES = 4;
const IDENTIFIERS = 65_535; // packet identifiers, from 1 (MQTT 3.1.1 §2.3.1)
const DIGIT_ZERO = 0x30;
const SPACE = 0x20;
/** 8 digits and a space: no client of a benchmark publishes 100,000,000 messages. */
const COUNTER_BYTES = 9;

export interface LoadClientOptions {
  readonly port: number;
  readonly clientId: string;
  readonly window: number;
  readonly payloadBytes: number;
  /** Topic names, taken in turns. */
  readonly topics: readonly string[];
  readonly filler: Filler;
  /** Told of each PUBACK with the time that was given for the PUBLISH, in ms. */
  readonly onPuback: (sinceMs: number) => void;
}

/** A PUBLISH encoded ahead, with the places that differ from one message to the next. */
interface Template {
  readonly bytes: Buffer;
  readonly identifierAt: number;
  readonly counterAt: number;
}

/** One MQTT client that publishes with QoS 1 at next to no cost: packets are copied and patched, PUBACKs read in place. */
export class LoadClient {
  sent = 0;
  acknowledged = 0;
  outOfOrder = 0;
  notDue = 0;
  readonly #options: LoadClientOptions;
  readonly #templates: readonly Template[];
  /** When each message in flight began to count, by counter modulo window. */
  readonly #since: Float64Array;
  /** Acknowledged before one that was published earlier. */
  readonly #early = new Set<number>();
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #onConnack: (code: number) => void = () => undefined;

  constructor(options: LoadClientOptions) {
    this.#options = options;
    this.#templates = options.topics.map((topic) => templateOf(topic, options));
    this.#since = new Float64Array(options.window);
  }

  /** Resolves with CONNACK 0; from then on `onEnd` is told why the connection ended, whoever ended it. */
  open(onEnd: (reason: string) => void): Promise<void> {
    const { port, clientId } = this.#options;
    return new Promise((resolve, reject) => {
      let fail = (reason: string): void => reject(new Error(`${clientId}: ${reason}`));
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      this.#socket = socket;
      this.#onConnack = (code) => {
        if (code !== 0) return fail(`CONNACK ${code}`);
        fail = onEnd;
        resolve();
      };
      let reason = 'closed by the server';
      socket.on('error', (error) => {
        reason = error.message;
      });
      socket.on('close', () => fail(reason));
      socket.on('data', (bytes) => this.#read(bytes));
      socket.write(connectPacket(clientId));
    });
  }

  get room(): number {
    return this.#options.window - (this.sent - this.acknowledged);
  }

  /** Publishes that many, at most `room`, in one write; the time since which each counts, in ms, by its place. */
  publish(count: number, since: (place: number) => number): void {
    const { window, filler } = this.#options;
    const templates = Array.from({ length: count }, (_, place) =>
      this.#template(this.sent + place),
    );
    const bytes = Buffer.allocUnsafe(
      templates.reduce((sum, { bytes: { length } }) => sum + length, 0),
    );
    let at = 0;
    for (const [place, template] of templates.entries()) {
      template.bytes.copy(bytes, at);
      bytes.writeUInt16BE((this.sent % IDENTIFIERS) + 1, at + template.identifierAt);
      this.#since[this.sent % window] = since(place);
      this.sent += 1;
      const fillerAt = writeCounter(bytes, at + template.counterAt, this.sent);
      at += template.bytes.length;
      filler.fill(bytes, fillerAt, at);
    }
    this.#socket?.write(bytes);
  }

  /** Says DISCONNECT and ends the connection. */
  close(): void {
    this.#socket?.removeAllListeners('close');
    this.#socket?.end(generate({ cmd: 'disconnect' }));
  }

  #template(index: number): Template {
    const template = this.#templates[index % this.#templates.length];
    if (template === undefined) throw new Error('a client needs a topic name');
    return template;
  }

  /** All that may come has 4 bytes: CONNACK and PUBACK. */
  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (; bytes.length - at >= PUBACK_BYTES; at += PUBACK_BYTES) {
      const kind = bytes[at];
      if (kind === PUBACK) this.#puback(bytes.readUInt16BE(at + 2));
      else if (kind === CONNACK) this.#onConnack(bytes[at + 3] ?? 0);
      else
        throw new Error(`${this.#options.clientId}: packet 0x${kind?.toString(16)} not expected`);
    }
    this.#rest = bytes.subarray(at);
  }

  #puback(identifier: number): void {
    const ahead = (identifier - 1 - (this.acknowledged % IDENTIFIERS) + IDENTIFIERS) % IDENTIFIERS;
    const counter = this.acknowledged + ahead;
    if (counter >= this.sent || this.#early.has(counter)) {
      this.notDue += 1;
      return;
    }
    this.#options.onPuback(this.#since[counter % this.#options.window] ?? 0);
    if (ahead > 0) {
      this.outOfOrder += 1;
      this.#early.add(counter);
      return;
    }
    this.acknowledged += 1;
    while (this.#early.size > 0 && this.#early.delete(this.acknowledged)) this.acknowledged += 1;
  }
}

function connectPacket(clientId: string): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId,
    clean: true,
    keepalive: 0,
    username: 'guest', // RabbitMQ asks for one, the others take it
    password: Buffer.from('guest'),
  });
}

function templateOf(topic: string, { clientId, payloadBytes }: LoadClientOptions): Template {
  const head = `${clientId} `;
  const leastBytes = Buffer.byteLength(head) + COUNTER_BYTES;
  if (payloadBytes < leastBytes) {
    throw new RangeError(`payloads of ${clientId} need ${leastBytes} bytes for its counter`);
  }
  const payload = Buffer.alloc(payloadBytes);
  payload.write(head);
  const bytes = generate({
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    dup: false,
    retain: false,
    messageId: 1,
  });
  const payloadAt = bytes.length - payloadBytes;
  return { bytes, identifierAt: payloadAt - 2, counterAt: payloadAt + Buffer.byteLength(head) };
}

/** Decimal digits and a space. Returns where they end. */
function writeCounter(bytes: Buffer, at: number, counter: number): number {
  let digits = 1;
  for (let limit = 10; counter >= limit; limit *= 10) digits += 1;
  let rest = counter;
  for (let place = digits - 1; place >= 0; place -= 1) {
    bytes[at + place] = DIGIT_ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  bytes[at + digits] = SPACE;
  return at + digits + 1;
}
