import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below Linux's range for outgoing connections (32768 and up). A port from that range may be taken by any
 * client while its owner is down, and a client that tries such a port again and again may even connect to itself.
 */
const FIRST_PORT = 15_000;
const LAST_PORT = 32_000;
const MAX_TRIES = 100;

/** A TCP port of 127.0.0.1 that nobody listened on just now, and that no outgoing connection will take. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < MAX_TRIES; tried++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free TCP port between ${FIRST_PORT} and ${LAST_PORT} in ${MAX_TRIES} tries`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
