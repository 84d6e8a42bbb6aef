import type { Config } from './config/types.ts';
import { GapManifest } from './delivery/gap-manifest.ts';
import type { Lane } from './delivery/lane.ts';
import type { LaneSet } from './lane-set.ts';
import type { Log } from './observe/log.ts';
import { GatewayError } from './shared/errors.ts';
import { promised } from './shared/receipt.ts';
import type { StoreFinding } from './store/finding.ts';
import type { LevelStore } from './store/level-store.ts';

/** The lane of the gap manifest. No mapping can have this name. */
export const GAP_LANE = 'tidegate.gaps';

export interface GapLaneParts {
  readonly config: Pick<Config, 'gaps'>;
  readonly store: () => LevelStore;
  readonly lanes: () => LaneSet;
  readonly log: Log;
}

/** The gap manifest with a lane of its own, without limits: it is what tells of all others. */
export class GapLane {
  readonly #parts: GapLaneParts;
  readonly manifest: GapManifest;
  #lane: Lane | undefined;

  constructor(parts: GapLaneParts) {
    this.#parts = parts;
    this.manifest = new GapManifest(
      (routingKey, event) => this.#tell(routingKey, event),
      (epoch) => parts.store().runs.get(epoch)?.run,
    );
  }

  /** Absent until it is started. */
  get lane(): Lane | undefined {
    return this.#lane;
  }

  /** To be called before any other lane is there. @throws what the store throws. */
  async start(): Promise<void> {
    const { config } = this.#parts;
    const [store, lanes] = [this.#parts.store(), this.#parts.lanes()];
    const spec = {
      name: GAP_LANE,
      ...config.gaps,
      onUnroutable: 'park',
      onReject: 'retry',
    } as const;
    await store.lane(GAP_LANE, { freesRoom: true }); // on a full disk nothing could be given up
    const defaults = { limits: {}, whenFull: 'block' } as const;
    const [held] = await lanes.create([spec], defaults, () => 0);
    this.#lane = held?.lane;
    this.manifest.previousRuns(store).catch(() => undefined); // closed again at once
  }

  /** Something about the store. Parked messages that are gone are named as any others; records of a log are by their lane. */
  found({ kind, ...finding }: StoreFinding): void {
    const { log, lanes } = this.#parts;
    log.error({ event: `store-${kind}`, ...finding }, 'the store is not as it was left');
    if (kind !== 'parked-lost' || finding.lane === undefined) return;
    const { lane, detail, count = 1, epoch, seq } = finding;
    const identity =
      epoch === undefined || seq === undefined ? {} : { epoch, fromSeq: seq, toSeq: seq };
    // What was parked may have been published before.
    const known = { lane, count, bytes: 0, ...identity, detail, uncertain: true } as const;
    this.manifest.record({ reason: 'damaged', ...known }).then(
      () => {
        const found = lanes().byName.get(lane);
        if (found !== undefined) found.counters.damaged += count;
      },
      () => undefined, // stopping; the log has it
    );
  }

  async #tell(routingKey: string, event: object): Promise<void> {
    const lane = this.#lane;
    if (lane === undefined) throw new GatewayError('LANE_CLOSED', 'The gap manifest is closed.');
    this.#parts.log.warn(
      { ...event, event: 'gap', kind: routingKey },
      'the gap manifest has a new entry',
    );
    const message = {
      topic: `$tidegate/${routingKey.replaceAll('.', '/')}`,
      payload: Buffer.from(JSON.stringify(event)),
      qos: 1,
      dup: false,
      retain: false,
      clientId: '',
      receivedAtMs: Date.now(),
      amqp: { contentType: 'application/json' },
    } as const;
    await promised((receipt) => lane.accept(message, routingKey, receipt));
  }
}
