import { isUtf8 } from 'node:buffer';
import type { ParkedMessage, ParkReason } from '../delivery/ports.ts';
import { messageIdOf } from '../shared/message-id.ts';
import { type AdminRequest, type AdminResponse, type AdminRoute, json } from './admin-routes.ts';

/** What the routes need of a lane. */
export interface ParkingLane {
  readonly name: string;
  readonly parkedMessages: number;
  parked(maxCount: number): Promise<readonly ParkedMessage[]>;
  releaseParked(maxCount: number, reason?: ParkReason): Promise<number>;
  discardParked(maxCount: number): Promise<number>;
}

/** One request must not hold the store, or memory, for long; call it again for more. */
const MOST_AT_ONCE = 1_000;
/** A list for a person to look at. */
const DEFAULT_LIST_COUNT = 100;

/** As a table, so that none can be forgotten. */
const REASONS: Readonly<Record<ParkReason, true>> = {
  unroutable: true,
  rejected: true,
  routing_key_too_long: true,
  template_failed: true,
  property_invalid: true,
  payload_invalid: true,
  when_failed: true,
  transform_failed: true,
  payload_timeout: true,
  payload_crashed: true,
  checked_again: true,
};

/** A query that cannot be answered, with the answer in its place. */
class Refusal extends Error {
  readonly response: AdminResponse;

  constructor(status: number, text: string) {
    super(text);
    this.response = json(status, { error: text });
  }
}

/**
 * What an operator can do with parked messages:
 *
 * - `GET /api/parked`: how many each lane has. With `lane` (and `limit`, 100, at most 1000): which, oldest first.
 * - `GET /api/parked/message?lane=&epoch=&seq=[&run=]`: one of them, with its payload.
 * - `POST /api/parked/release?lane=[&reason=][&max=]`: puts up to 1000, oldest first, at the end of their lane.
 * - `POST /api/parked/discard?lane=&confirm=[&max=]`: gives up to 1000, oldest first, up; the gap manifest names
 *   each. `confirm` is the lane's name again.
 *
 * Errors are `{"error": …}` with 400 (query) or 404 (no such lane or message).
 */
export function createParkedRoutes(
  lanes: () => Iterable<ParkingLane>,
): ReadonlyMap<string, AdminRoute> {
  const withLane =
    (handle: (lane: ParkingLane, query: URLSearchParams) => Promise<AdminResponse>) =>
    async ({ query }: AdminRequest): Promise<AdminResponse> => {
      try {
        return await handle(laneOf(lanes(), query), query);
      } catch (error) {
        if (error instanceof Refusal) return error.response;
        throw error;
      }
    };
  const list = withLane(listParked);
  return new Map<string, AdminRoute>([
    [
      '/api/parked',
      { GET: (request) => (request.query.has('lane') ? list(request) : countParked(lanes())) },
    ],
    ['/api/parked/message', { GET: withLane(showParked) }],
    ['/api/parked/release', { POST: withLane(release) }],
    ['/api/parked/discard', { POST: withLane(discard) }],
  ]);
}

function countParked(lanes: Iterable<ParkingLane>): AdminResponse {
  return json(200, {
    lanes: [...lanes].map(({ name, parkedMessages }) => ({ lane: name, parkedMessages })),
  });
}

async function listParked(lane: ParkingLane, query: URLSearchParams): Promise<AdminResponse> {
  const limit = countOf(query, 'limit', DEFAULT_LIST_COUNT);
  const messages = (await lane.parked(limit)).map((parked) => describe(lane.name, parked));
  return json(200, { lane: lane.name, parkedMessages: lane.parkedMessages, messages });
}

async function showParked(lane: ParkingLane, query: URLSearchParams): Promise<AdminResponse> {
  const [epoch, seq] = [numberOf(query, 'epoch'), numberOf(query, 'seq')];
  const run = query.get('run');
  const isMeant = ({ message }: ParkedMessage): boolean =>
    message.epoch === epoch && message.seq === seq && (run === null || message.run === run);
  const parked = (await lane.parked(MOST_AT_ONCE)).find(isMeant);
  if (parked === undefined) {
    const id = run === null ? epoch : `${epoch}-${run}`;
    const text = `lane ${lane.name} has no ${id}.${seq} among its oldest ${MOST_AT_ONCE} parked messages`;
    throw new Refusal(404, text);
  }
  const { payload } = parked.message;
  return json(200, {
    ...describe(lane.name, parked),
    payloadBase64: payload.toString('base64'),
    ...(isUtf8(payload) ? { payloadText: payload.toString('utf8') } : {}),
  });
}

async function release(lane: ParkingLane, query: URLSearchParams): Promise<AdminResponse> {
  const released = await lane.releaseParked(countOf(query, 'max', MOST_AT_ONCE), reasonOf(query));
  return json(200, { lane: lane.name, released, parkedMessages: lane.parkedMessages });
}

async function discard(lane: ParkingLane, query: URLSearchParams): Promise<AdminResponse> {
  if (query.get('confirm') !== lane.name) {
    const text = `discarding cannot be undone: add confirm=NAME with the name of the lane, ${lane.name}`;
    throw new Refusal(400, text);
  }
  const discarded = await lane.discardParked(countOf(query, 'max', MOST_AT_ONCE));
  return json(200, { lane: lane.name, discarded, parkedMessages: lane.parkedMessages });
}

/** All but the payload, which may be large and nobody's business in a list. */
function describe(lane: string, { message, note }: ParkedMessage): object {
  const { gatewayId, epoch, run, seq } = message;
  return {
    messageId: messageIdOf(message, lane),
    gatewayId,
    lane,
    epoch,
    ...(run === undefined ? {} : { run }),
    seq,
    topic: message.topic,
    clientId: message.clientId,
    routingKey: message.routingKey,
    qos: message.qos,
    receivedAtMs: message.receivedAtMs,
    payloadBytes: message.payload.length,
    ...note,
  };
}

function laneOf(lanes: Iterable<ParkingLane>, query: URLSearchParams): ParkingLane {
  const name = query.get('lane');
  if (name === null) throw new Refusal(400, 'say which lane: lane=NAME; see GET /api/parked');
  for (const lane of lanes) {
    if (lane.name === name) return lane;
  }
  throw new Refusal(404, `no lane is named ${name}; see GET /api/parked`);
}

function countOf(query: URLSearchParams, name: string, fallback: number): number {
  if (!query.has(name)) return fallback;
  const count = numberOf(query, name);
  if (count >= 1 && count <= MOST_AT_ONCE) return count;
  throw new Refusal(400, `${name} must be 1 to ${MOST_AT_ONCE}`);
}

function numberOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Refusal(400, `${name} must be a whole number`);
}

function reasonOf(query: URLSearchParams): ParkReason | undefined {
  const text = query.get('reason');
  if (text === null) return undefined;
  if (isReason(text)) return text;
  throw new Refusal(400, `reason must be one of ${Object.keys(REASONS).join(', ')}`);
}

function isReason(text: string): text is ParkReason {
  return Object.hasOwn(REASONS, text);
}
