import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { Level } from 'level';
import type { StoreConfig } from '../config/types.ts';
import type { MessageStore, PreviousRun } from '../delivery/ports.ts';
import { GatewayError } from '../shared/errors.ts';
import { BatchWriter, type Db } from './batch-writer.ts';
import { decodeCleanEnd, encodeCleanEnd } from './clean-end.ts';
import { DiskRoom } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import {
  CLEAN_END_KEY,
  EPOCH_KEY,
  FORMAT_KEY,
  LANE_NAME_RANGE,
  laneNameKey,
  laneNameOf,
  parkedRange,
} from './keys.ts';
import { LevelLaneLog } from './level-lane-log.ts';
import { openDatabase, unusableError } from './open.ts';
import { LevelPacketIds } from './packet-ids.ts';

/** What the store tells of itself. */
export interface StoreEvents {
  /** The store is not as it was left. Lost records of a log are told by its reads. */
  onFinding(finding: StoreFinding): void;
  /** Writing fails: nothing is acknowledged from now on until it works again. */
  onTrouble(error: unknown): void;
  onRecovered(): void;
}

export interface StoreStats {
  readonly writable: boolean;
  readonly appendsTotal: number;
  readonly batchesTotal: number;
  readonly bytesWrittenTotal: number;
  readonly writeErrorsTotal: number;
  readonly reopensTotal: number;
  /** Bytes of the database's files; measured once a second. */
  readonly sizeBytes: number;
}

/** Each record is read once and in order: a cache has nothing to give, and memory is scarce on a Pi. */
const CACHE_BYTES = 512 * 1024;
const FORMAT_VERSION = 1;
const FORMAT: Buffer = Buffer.from([FORMAT_VERSION]);
/** How late the low-water mark may reach the disk; a crash repeats at most what was settled since. */
const TIDY_EVERY_MS = 1_000;
/** From this part of `store.maxBytes` on, what is settled is given back at once. */
const NEARLY_FULL = 0.8;

/** The store of the gateway: one LevelDB with a log per lane. See {@link MessageStore}. */
export class LevelStore implements MessageStore {
  readonly #config: Pick<StoreConfig, 'path' | 'maxBytes' | 'reserveBytes' | 'ballastBytes'>;
  readonly #events: StoreEvents;
  readonly #db: Db;
  readonly #room: DiskRoom;
  readonly #writer: BatchWriter;
  readonly #lanes = new Map<string, LevelLaneLog>();
  readonly #laneNumbers = new Map<string, number>();
  readonly #stopping = new AbortController();
  #tidying: Promise<void> | undefined;
  #isOpen = false;
  #sizeBytes = 0;
  #writtenAtMeasure = 0;
  /** QoS 2 packet identifiers of the MQTT sessions. */
  readonly packetIds: LevelPacketIds;
  epoch = 0;
  previousRun: PreviousRun | undefined;

  constructor(
    config: Pick<StoreConfig, 'path' | 'maxBytes' | 'reserveBytes' | 'ballastBytes'>,
    events: StoreEvents,
  ) {
    this.#config = config;
    this.#events = events;
    const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
    const options = { ...encodings, cacheSize: CACHE_BYTES };
    this.#db = new Level<Buffer, Buffer>(join(config.path, 'db'), options);
    this.#room = new DiskRoom(config.path, config.reserveBytes, config.ballastBytes);
    this.#writer = new BatchWriter(this.#db, this.#room, {
      reopened: async () => {
        for (const lane of this.#lanes.values()) await lane.load();
        await this.#db.batch().put(FORMAT_KEY, FORMAT).write({ sync: true });
      },
      addInPassing: (batch) => {
        for (const lane of this.#lanes.values()) lane.addMark(batch);
      },
      isFull: () => this.#estimatedBytes() >= config.maxBytes,
      onTrouble: (error) => events.onTrouble(error),
      onRecovered: () => events.onRecovered(),
    });
    this.packetIds = new LevelPacketIds(this.#db, this.#writer);
  }

  get writable(): boolean {
    return this.#isOpen && this.#writer.writable;
  }

  /**
   * Opens the store and begins a new epoch.
   * @throws {GatewayError} STORE_LOCKED, STORE_UNUSABLE, STORE_FORMAT_UNKNOWN; each says what to do.
   */
  async open(): Promise<void> {
    await openDatabase(this.#db, this.#room, this.#config.path);
    try {
      await this.#beginEpoch();
    } catch (error) {
      await this.#db.close();
      if (error instanceof GatewayError) throw error;
      await this.#beginEpochOnFullDisk();
    }
    this.#isOpen = true;
    await this.#measure();
    await this.#room.keepBallast();
    this.#tidying = this.#tidyForever();
  }

  async lane(name: string): Promise<LevelLaneLog> {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const number = this.#laneNumbers.get(name) ?? (await this.#nameLane(name));
    const log = new LevelLaneLog({
      db: this.#db,
      writer: this.#writer,
      name,
      number,
      onFinding: (finding) => this.#events.onFinding(finding),
    });
    await log.load();
    this.#lanes.set(name, log);
    return log;
  }

  /** Names of all lanes that ever wrote here. */
  laneNames(): readonly string[] {
    return [...this.#laneNumbers.keys()];
  }

  /** How many messages the lane has parked. Reads their keys. */
  async parkedCount(lane: string): Promise<number> {
    const number = this.#laneNumbers.get(lane);
    if (number === undefined) return 0;
    let count = 0;
    for await (const _ of this.#db.keys(parkedRange(number))) count += 1;
    return count;
  }

  stats(): StoreStats {
    return {
      writable: this.writable,
      appendsTotal: this.#writer.tasksTotal,
      batchesTotal: this.#writer.batchesTotal,
      bytesWrittenTotal: this.#writer.bytesTotal,
      writeErrorsTotal: this.#writer.errorsTotal,
      reopensTotal: this.#writer.reopensTotal,
      sizeBytes: this.#sizeBytes,
    };
  }

  /** Ends the batch in flight, writes the marks and closes. What is still queued is told STORE_CLOSED. */
  async close(lastSeqs?: ReadonlyMap<string, number>): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stopping.abort();
    await this.#writer.close();
    await this.#tidying;
    for (const lane of this.#lanes.values()) {
      await lane.endRead();
      if (this.#writer.writable) await lane.tidy(true).catch(() => undefined);
    }
    if (lastSeqs !== undefined && this.#writer.writable) {
      const end = encodeCleanEnd(this.epoch, lastSeqs);
      await this.#db.put(CLEAN_END_KEY, end, { sync: true }).catch(() => undefined);
    }
    await this.#db.close();
    await rm(join(this.#config.path, 'owner'), { force: true });
  }

  async #beginEpoch(): Promise<void> {
    const format = await this.#db.get(FORMAT_KEY);
    if (format !== undefined && format[0] !== FORMAT_VERSION) {
      throw new GatewayError(
        'STORE_FORMAT_UNKNOWN',
        `The store in ${this.#config.path} has format ${format[0]}, this version knows ${FORMAT_VERSION}: run the version that wrote it until it is drained, or set store.path to another folder.`,
      );
    }
    for await (const [key, value] of this.#db.iterator(LANE_NAME_RANGE)) {
      this.#laneNumbers.set(laneNameOf(key), value.readUInt16BE(0));
    }
    const last = await this.#db.get(EPOCH_KEY);
    const lastEpoch = last?.readUInt32BE(0) ?? 0;
    if (lastEpoch > 0)
      this.previousRun = decodeCleanEnd(lastEpoch, await this.#db.get(CLEAN_END_KEY));
    this.epoch = lastEpoch + 1;
    const epoch = Buffer.allocUnsafe(4);
    epoch.writeUInt32BE(this.epoch, 0);
    const batch = this.#db.batch().put(FORMAT_KEY, FORMAT).put(EPOCH_KEY, epoch);
    await batch.del(CLEAN_END_KEY).write({ sync: true });
    await writeFile(join(this.#config.path, 'owner'), String(process.pid)).catch(() => undefined);
  }

  /** There was room to open, not to write: the ballast's room is for this. */
  async #beginEpochOnFullDisk(): Promise<void> {
    await this.#room.releaseBallast();
    await openDatabase(this.#db, this.#room, this.#config.path);
    try {
      await this.#beginEpoch();
    } catch (error) {
      await this.#db.close();
      throw error instanceof GatewayError ? error : unusableError(this.#config.path, error);
    }
  }

  async #measure(): Promise<void> {
    this.#writtenAtMeasure = this.#writer.bytesTotal;
    this.#sizeBytes = await folderBytes(this.#db.location);
  }

  #estimatedBytes(): number {
    return this.#sizeBytes + this.#writer.bytesTotal - this.#writtenAtMeasure;
  }

  async #nameLane(name: string): Promise<number> {
    const number = Math.max(0, ...this.#laneNumbers.values()) + 1;
    const value = Buffer.allocUnsafe(2);
    value.writeUInt16BE(number, 0);
    await this.#db.batch().put(laneNameKey(name), value).write({ sync: true });
    this.#laneNumbers.set(name, number);
    return number;
  }

  async #tidyForever(): Promise<void> {
    const ticks = setInterval(TIDY_EVERY_MS, undefined, { signal: this.#stopping.signal });
    try {
      for await (const _ of ticks) await this.#tidy();
    } catch {
      // Aborted by close().
    }
  }

  async #tidy(): Promise<void> {
    if (!this.#writer.isTrusted) return;
    try {
      const isNearlyFull = this.#estimatedBytes() > this.#config.maxBytes * NEARLY_FULL;
      for (const lane of this.#lanes.values()) {
        const isDrained = lane.lowWaterMark === lane.endOffset;
        await lane.tidy(isDrained || isNearlyFull);
        if (isDrained || isNearlyFull) await lane.giveSpaceBack();
      }
      await this.#room.keepBallast();
      await this.#measure();
    } catch (error) {
      this.#writer.distrust(error);
    }
  }
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    bytes += found?.size ?? 0; // LevelDB may have deleted it since
  }
  return bytes;
}
