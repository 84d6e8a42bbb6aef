import { type AdminRequest, type AdminResponse, type AdminRoute, json } from './admin-routes.ts';

/** What the routes need of a lane. */
export interface ParkingLane {
  readonly name: string;
  readonly parkedMessages: number;
  releaseParked(maxCount: number): Promise<number>;
}

/** One request must not hold the store for long; call it again for more. */
const RELEASE_AT_ONCE = 1_000;

/**
 * `GET /api/parked`: how many messages each lane has parked. `POST /api/parked/release?lane=NAME`: puts up to
 * 1000 of them, oldest first, back to the end of their lane.
 */
export function createParkedRoutes(
  lanes: () => Iterable<ParkingLane>,
): ReadonlyMap<string, AdminRoute> {
  const count = (): AdminResponse =>
    json(200, {
      lanes: [...lanes()].map(({ name, parkedMessages }) => ({ lane: name, parkedMessages })),
    });
  const release = async (request: AdminRequest): Promise<AdminResponse> => {
    const name = request.query.get('lane');
    const lane = [...lanes()].find((one) => one.name === name);
    if (lane === undefined) {
      return json(404, { error: `no lane is named ${name}; see GET /api/parked` });
    }
    const released = await lane.releaseParked(RELEASE_AT_ONCE);
    return json(200, { lane: name, released, parkedMessages: lane.parkedMessages });
  };
  return new Map<string, AdminRoute>([
    ['/api/parked', { GET: count }],
    ['/api/parked/release', { POST: release }],
  ]);
}
