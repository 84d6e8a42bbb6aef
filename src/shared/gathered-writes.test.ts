import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { gatherWrites } from './gathered-writes.ts';

interface Pair {
  readonly socket: Socket;
  readonly peer: Socket;
  /** Sizes of what goes down to the system. */
  readonly writes: number[];
}

/** A connected socket that gathers, and its other end. */
async function pair(): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const accepted = once(server, 'connection');
  const socket = connect({ port, host: '127.0.0.1' });
  const [peer] = (await accepted) as [Socket];
  await once(socket, 'connect');
  onTestFinished(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  const writes: number[] = [];
  const write = socket.write.bind(socket);
  socket.write = ((chunk: Buffer | string, ...rest: []) => {
    writes.push(chunk.length);
    return write(chunk, ...rest);
  }) as Socket['write'];
  gatherWrites(socket);
  return { socket, peer, writes };
}

async function readAll(peer: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  peer.on('data', (chunk) => chunks.push(chunk));
  peer.resume();
  await once(peer, 'end');
  return Buffer.concat(chunks).toString();
}

test('small chunks of one turn go out as one write, in order', async () => {
  const { socket, peer, writes } = await pair();
  for (let n = 0; n < 100; n += 1) socket.write(Buffer.from(`${n} `));
  await new Promise(setImmediate);
  expect(writes).toHaveLength(1);
  socket.write(Buffer.from('next'));
  await new Promise(setImmediate);
  expect(writes).toHaveLength(2);
  socket.end();
  expect(await readAll(peer)).toBe(
    `${Array.from({ length: 100 }, (_, n) => `${n} `).join('')}next`,
  );
});

test('text, large chunks and what comes with a callback keep their place in the order', async () => {
  const { socket, peer } = await pair();
  const large = 'x'.repeat(100_000);
  socket.write(Buffer.from('1'));
  socket.write('2');
  socket.write(Buffer.from('3'));
  socket.write(Buffer.from(large));
  socket.write(Buffer.from('4'));
  const called = new Promise<void>((resolve) => {
    socket.write(Buffer.from('5'), () => resolve());
  });
  socket.end(Buffer.from('6'));
  expect(await readAll(peer)).toBe(`123${large}456`);
  await called;
});

test('a write that is told to wait is followed by drain, however the chunks fall', async () => {
  const { socket, peer } = await pair();
  peer.resume();
  for (const size of [100, 1_000, 4_096]) {
    for (let round = 0; round < 10; round += 1) {
      let mayGoOn = true;
      while (mayGoOn) mayGoOn = socket.write(Buffer.alloc(size));
      await once(socket, 'drain');
    }
  }
});

test('what a destroyed socket still had to send is dropped without an error', async () => {
  const { socket } = await pair();
  const errors: unknown[] = [];
  socket.on('error', (error) => errors.push(error));
  socket.write(Buffer.from('x'));
  socket.destroy();
  await once(socket, 'close');
  await new Promise(setImmediate);
  expect(errors).toEqual([]);
});
