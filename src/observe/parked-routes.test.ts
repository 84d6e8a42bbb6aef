import { expect, test } from 'vitest';
import type { ParkedMessage, ParkReason } from '../delivery/ports.ts';
import { messageIdOf } from '../shared/message-id.ts';
import { createParkedRoutes, type ParkingLane } from './parked-routes.ts';

const RUN = '6f1e0b8a92c4d7e5';

/** A lane with a parking place in memory. */
class FakeLane implements ParkingLane {
  readonly name: string;
  readonly released: [number, ParkReason | undefined][] = [];
  readonly #messages: readonly ParkedMessage[];
  discarded = 0;

  constructor(name: string, messages: readonly ParkedMessage[] = []) {
    this.name = name;
    this.#messages = messages;
  }

  get parkedMessages(): number {
    return this.#messages.length;
  }

  async parked(maxCount: number): Promise<readonly ParkedMessage[]> {
    return this.#messages.slice(0, maxCount);
  }

  async releaseParked(maxCount: number, reason?: ParkReason): Promise<number> {
    this.released.push([maxCount, reason]);
    return 1;
  }

  async discardParked(maxCount: number): Promise<number> {
    this.discarded += Math.min(maxCount, this.#messages.length);
    return this.discarded;
  }
}

function parked(seq: number, payload: Buffer): ParkedMessage {
  return {
    message: {
      topic: `devices/${seq}`,
      payload,
      qos: 1,
      dup: false,
      retain: false,
      clientId: 'pump',
      receivedAtMs: 5,
      gatewayId: 'site',
      epoch: 3,
      ...(seq === 1 ? { run: RUN } : {}), // the second is of 0.1.0
      seq,
      routingKey: 'key',
    },
    note: {
      reason: 'unroutable',
      detail: 'NO_ROUTE',
      firstAttemptMs: 10,
      lastAttemptMs: 20,
      attempts: 2,
    },
  };
}

const MESSAGES: readonly ParkedMessage[] = [
  parked(1, Buffer.from('grün')),
  parked(2, Buffer.from([0xff, 0x00])),
];

async function ask(
  method: 'GET' | 'POST',
  target: string,
  lane: FakeLane = new FakeLane('line 1', MESSAGES),
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { pathname, searchParams } = new URL(target, 'http://admin');
  const handler = createParkedRoutes(() => [lane, new FakeLane('other')]).get(pathname)?.[method];
  const request = { method, path: pathname, query: searchParams, body: Buffer.alloc(0) };
  const answer = await handler?.(request);
  return { status: answer?.status ?? 0, body: JSON.parse(String(answer?.body)) };
}

test('without a lane it counts what each has parked', async () => {
  const { status, body } = await ask('GET', '/api/parked');
  expect(status).toBe(200);
  expect(body['lanes']).toEqual([
    { lane: 'line 1', parkedMessages: 2 },
    { lane: 'other', parkedMessages: 0 },
  ]);
});

test('the list names each message and its reason, without the payload', async () => {
  const { body } = await ask('GET', '/api/parked?lane=line+1&limit=1');
  const [first] = MESSAGES;
  expect(body).toEqual({
    lane: 'line 1',
    parkedMessages: 2,
    messages: [
      {
        messageId: first && messageIdOf(first.message, 'line 1'),
        gatewayId: 'site',
        lane: 'line 1',
        epoch: 3,
        run: RUN,
        seq: 1,
        topic: 'devices/1',
        clientId: 'pump',
        routingKey: 'key',
        qos: 1,
        receivedAtMs: 5,
        payloadBytes: 5,
        reason: 'unroutable',
        detail: 'NO_ROUTE',
        firstAttemptMs: 10,
        lastAttemptMs: 20,
        attempts: 2,
      },
    ],
  });
});

test('a payload is shown in base64, and as text if it is UTF-8', async () => {
  const text = await ask('GET', '/api/parked/message?lane=line+1&epoch=3&seq=1');
  expect(text.body).toMatchObject({ payloadBase64: 'Z3LDvG4=', payloadText: 'grün' });
  const ofRun = await ask('GET', `/api/parked/message?lane=line+1&epoch=3&seq=1&run=${RUN}`);
  expect(ofRun.body).toEqual(text.body);
  const bytes = await ask('GET', '/api/parked/message?lane=line+1&epoch=3&seq=2');
  expect(bytes.body).toMatchObject({ payloadBase64: '/wA=' });
  expect(bytes.body).not.toHaveProperty('payloadText');
});

test.each([
  ['GET', '/api/parked?lane=none', 404, 'no lane is named none'],
  ['GET', '/api/parked?lane=other&limit=1001', 400, 'limit must be 1 to 1000'],
  ['GET', '/api/parked?lane=other&limit=0', 400, 'limit must be 1 to 1000'],
  ['GET', '/api/parked/message?epoch=3&seq=1', 400, 'say which lane'],
  ['GET', '/api/parked/message?lane=line+1&epoch=3', 400, 'seq must be a whole number'],
  ['GET', '/api/parked/message?lane=line+1&epoch=3&seq=9', 404, 'no 3.9 among'],
  ['GET', '/api/parked/message?lane=line+1&epoch=3&seq=1&run=other', 404, 'no 3-other.1 among'],
  ['POST', '/api/parked/release?lane=line+1&reason=bad', 400, 'reason must be one of unroutable'],
  ['POST', '/api/parked/release?lane=line+1&max=-1', 400, 'max must be a whole number'],
] as const)('%s %s is refused with %i', async (method, target, status, text) => {
  const answer = await ask(method, target);
  expect(answer.status).toBe(status);
  expect(answer.body['error']).toContain(text);
});

test('release passes the reason and the most to release on', async () => {
  const lane = new FakeLane('line 1', MESSAGES);
  const all = await ask('POST', '/api/parked/release?lane=line+1', lane);
  expect(all.body).toEqual({ lane: 'line 1', released: 1, parkedMessages: 2 });
  await ask('POST', '/api/parked/release?lane=line+1&reason=rejected&max=7', lane);
  expect(lane.released).toEqual([
    [1_000, undefined],
    [7, 'rejected'],
  ]);
});

test('discarding asks for the name of the lane again, and does nothing without', async () => {
  const lane = new FakeLane('line 1', MESSAGES);
  for (const confirm of ['', '&confirm=', '&confirm=other']) {
    const refused = await ask('POST', `/api/parked/discard?lane=line+1${confirm}`, lane);
    expect(refused.status).toBe(400);
    expect(refused.body['error']).toContain('confirm=NAME with the name of the lane, line 1');
  }
  expect(lane.discarded).toBe(0);
  const done = await ask('POST', '/api/parked/discard?lane=line+1&confirm=line+1', lane);
  expect(done.body).toEqual({ lane: 'line 1', discarded: 2, parkedMessages: 2 });
});
