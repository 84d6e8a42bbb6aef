/** A process that answers CONNECT and PUBLISH with as little work as there can be: what the load process can do at most. */
import { createServer, type Socket } from 'node:net';

const CONNECT = 0x10;
const PUBLISH_QOS_1 = 0x32;
const CONNACK_BYTES: Buffer = Buffer.from([0x20, 2, 0, 0]);
const PUBACK = 0x40;
const PUBACK_BYTES = 4;
const CONTINUES = 0x80;
const SEVEN_BITS = 0x7f;

function serve(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answers = Buffer.allocUnsafe((bytes.length >> 1) + PUBACK_BYTES);
    let [at, answered] = [0, 0];
    for (;;) {
      const length = packetBytes(bytes, at);
      if (length === undefined || at + length > bytes.length) break;
      if (bytes[at] === CONNECT) answered += CONNACK_BYTES.copy(answers, answered);
      else if (bytes[at] === PUBLISH_QOS_1) {
        answers[answered] = PUBACK;
        answers[answered + 1] = 2;
        bytes.copy(answers, answered + 2, identifierAt(bytes, at), identifierAt(bytes, at) + 2);
        answered += PUBACK_BYTES;
      }
      at += length;
    }
    rest = bytes.subarray(at);
    if (answered > 0) socket.write(answers.subarray(0, answered));
  });
}

/** Length of the whole packet at that place (MQTT 3.1.1 §2.2.3); undefined when its head is not all there. */
function packetBytes(bytes: Buffer, start: number): number | undefined {
  let length = 0;
  for (let place = 0; start + 1 + place < bytes.length; place += 1) {
    const digit = bytes[start + 1 + place] ?? 0;
    length += (digit & SEVEN_BITS) << (7 * place);
    if ((digit & CONTINUES) === 0) return length + 2 + place;
  }
  return undefined;
}

function identifierAt(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (((bytes[at] ?? 0) & CONTINUES) !== 0) at += 1;
  return at + 1 + 2 + bytes.readUInt16BE(at + 1);
}

const server = createServer(serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ event: 'listening', port })}\n`);
});
