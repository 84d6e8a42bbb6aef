import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import type { StoreConfig } from '../config/types.ts';
import type { MessageStore, PreviousRun, RunNote } from '../delivery/ports.ts';
import { GatewayError } from '../shared/errors.ts';
import { type Batch, BatchWriter, type Db } from './batch-writer.ts';
import { Checkpoint } from './checkpoint.ts';
import type { Witness } from './checkpoint-file.ts';
import { encodeRunEnds } from './clean-end.ts';
import type { Contents } from './contents.ts';
import { createDatabase } from './database.ts';
import { DiskRoom, folderBytes } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import { CLEAN_END_KEY, laneNameKey } from './keys.ts';
import { LevelLaneLog } from './level-lane-log.ts';
import { Mending } from './mending.ts';
import { isCorruption, unusableError } from './open-faults.ts';
import { LevelPacketIds } from './packet-ids.ts';
import { addRunNote } from './run-notes.ts';
import { addSerial, beginRun, checkFormat, encodeLaneNumber, writeHead } from './run-start.ts';
import { seal } from './sealed.ts';
import { countParked } from './witness-check.ts';

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

export interface LaneOptions {
  readonly freesRoom?: boolean;
}

/** How late the low-water mark may reach the disk; a crash repeats at most what was settled since. */
const TIDY_EVERY_MS = 1_000;
/** Of the note of a run, roughly. */
const RUN_NOTE_BYTES = 400;
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
  readonly #checkpoint: Checkpoint;
  readonly #mending: Mending;
  #witness: Witness | undefined;
  #laneNumbers = new Map<string, number>();
  #maxLaneNumber = 0;
  /** Of the last batch on disk that has one. */
  #serial = 0;
  /** The same, counting the batch that is being written. */
  #nextSerial = 0;
  readonly #stopping = new AbortController();
  #tidying: Promise<void> | undefined;
  #isOpen = false;
  #sizeBytes = 0;
  #writtenAtMeasure = 0;
  /** QoS 2 packet identifiers of the MQTT sessions. */
  readonly packetIds: LevelPacketIds;
  epoch = 0;
  run = '';
  #runs = new Map<number, RunNote>();
  previousRuns: readonly PreviousRun[] = [];

  constructor(
    config: Pick<StoreConfig, 'path' | 'maxBytes' | 'reserveBytes' | 'ballastBytes'>,
    events: StoreEvents,
  ) {
    this.#config = config;
    this.#events = events;
    this.#db = createDatabase(join(config.path, 'db'));
    this.#room = new DiskRoom(config.path, config.reserveBytes, config.ballastBytes);
    this.#mending = new Mending({
      db: this.#db,
      room: this.#room,
      path: config.path,
      onFinding: (found) => events.onFinding(found),
    });
    this.#checkpoint = new Checkpoint(config.path, {
      witness: () => this.#testify(),
      onFailed: (detail) => events.onFinding({ kind: 'checkpoint-failed', detail }),
    });
    this.#writer = new BatchWriter(this.#db, this.#room, {
      reopen: () => this.#reopen(),
      batchWritten: () => {
        this.#serial = this.#nextSerial;
        this.#checkpoint.touch();
      },
      addInPassing: (batch, isWitnessed) => {
        for (const lane of this.#lanes.values()) lane.addMark(batch);
        this.#nextSerial = this.#serial + (isWitnessed ? 0 : 1);
        if (!isWitnessed) addSerial(batch, this.#nextSerial);
      },
      onTrouble: (error) => events.onTrouble(error),
      onRecovered: () => events.onRecovered(),
    });
    this.packetIds = new LevelPacketIds(this.#db, this.#writer);
  }

  /** The part of `store.maxBytes` that is used; above 1 nothing more should go in. */
  get fullness(): number {
    const { maxBytes } = this.#config;
    // Without its reserve the disk is full, however little of it is ours.
    return this.#writer.lacksReserve ? 2 : this.#estimatedBytes() / maxBytes;
  }

  get writable(): boolean {
    return this.#isOpen && this.#writer.writable;
  }

  /**
   * Opens the store and begins a new epoch.
   * @throws {GatewayError} STORE_LOCKED, STORE_UNUSABLE, STORE_FORMAT_UNKNOWN; each says what to do.
   */
  async open(): Promise<void> {
    this.#witness = await this.#checkpoint.read();
    const { contents } = await this.#mending.start(this.#witness);
    try {
      await this.#beginRun(contents);
    } catch (error) {
      await this.#db.close();
      if (error instanceof GatewayError) throw error;
      await this.#beginRunOnFullDisk();
    }
    this.#isOpen = true;
    await this.#measure();
    await this.#room.keepBallast();
    this.#tidying = this.#tidyForever();
    await this.#checkpoint.flush();
  }

  /** `freesRoom`, said when it is asked for first: its appends let messages of other lanes go, and may use the reserve. */
  async lane(name: string, { freesRoom = false }: LaneOptions = {}): Promise<LevelLaneLog> {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const number = this.#laneNumbers.get(name) ?? (await this.#nameLane(name));
    const log = new LevelLaneLog({
      db: this.#db,
      writer: this.#writer,
      name,
      number,
      onFinding: (finding) => this.#events.onFinding(finding),
      witness: this.#witness?.lanes.find((lane) => lane.name === name),
      checkpoint: this.#checkpoint,
      onReadFailure: (error) => this.#readFailed(error),
      beforeLoss: () => this.#mending.beforeLoss(),
      freesRoom,
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
    return countParked(this.#db, number);
  }

  get runs(): ReadonlyMap<number, RunNote> {
    return this.#runs;
  }

  noteRun(change: Pick<RunNote, 'clock' | 'machine'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const note = { ...this.#runs.get(this.epoch), ...change, epoch: this.epoch };
      const written = (): void => {
        this.#runs.set(this.epoch, note);
        resolve();
      };
      const addTo = (batch: Batch): void => addRunNote(batch, note);
      this.#writer.write({ bytes: RUN_NOTE_BYTES, addTo, written, abandoned: reject });
    });
  }

  previousRunsTold(): Promise<void> {
    return new Promise((resolve, reject) => {
      const written = (): void => {
        this.previousRuns = [];
        resolve();
      };
      const addTo = (batch: Batch): Batch => batch.del(CLEAN_END_KEY);
      this.#writer.write({ bytes: CLEAN_END_KEY.length, addTo, written, abandoned: reject });
    });
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
      const { epoch, run } = this;
      const ends = encodeRunEnds([...this.previousRuns, { epoch, run, lastSeqs }]);
      const value = seal(CLEAN_END_KEY, ends);
      await this.#db.put(CLEAN_END_KEY, value, { sync: true }).catch(() => undefined);
    }
    await this.#db.close();
    await this.#mending.closed();
    await this.#checkpoint.close();
    await rm(join(this.#config.path, 'owner'), { force: true });
  }

  async #beginRun(contents: Contents): Promise<void> {
    await checkFormat(this.#db, this.#config.path);
    const run = await beginRun(this.#db, contents, this.#witness);
    this.epoch = run.epoch;
    this.run = run.run;
    this.#runs = run.runs;
    this.#serial = run.serial;
    this.previousRuns = run.previousRuns;
    this.#laneNumbers = run.laneNumbers;
    this.#maxLaneNumber = run.maxLaneNumber;
    await writeFile(join(this.#config.path, 'owner'), String(process.pid)).catch(() => undefined);
    if (contents.epoch === 0 || this.#witness !== undefined) return;
    const detail = 'there is no checkpoint: if the end of a log is missing, it is not known';
    this.#events.onFinding({ kind: 'tail-unverified', detail });
  }

  /** There was room to open, not to write: the ballast's room is for this. */
  async #beginRunOnFullDisk(): Promise<void> {
    await this.#room.releaseBallast();
    const { contents } = await this.#mending.start(this.#witness);
    try {
      await this.#beginRun(contents);
    } catch (error) {
      await this.#db.close();
      throw error instanceof GatewayError ? error : unusableError(this.#config.path, error);
    }
  }

  /** What is on disk, for the checkpoint. Lanes that are not in use stay as they were found. */
  #testify(): Witness {
    const idle = (this.#witness?.lanes ?? []).filter(({ name }) => !this.#lanes.has(name));
    const lanes = [...this.#lanes.values()].map((lane) => lane.witness());
    return { epoch: this.epoch, serial: this.#serial, lanes: [...idle, ...lanes] };
  }

  /** What the memory knows to be on disk must be there, or the database is not the one that was closed. */
  async #reopen(): Promise<void> {
    const lanes = [...this.#lanes.values()].map((lane) => lane.durable());
    await this.#mending.again({ epoch: this.epoch, serial: this.#serial, lanes });
    for (const lane of this.#lanes.values()) await lane.load();
    const { epoch, previousRuns } = this;
    const [serial, laneNumbers, runs] = [this.#serial, this.#laneNumbers, this.#runs];
    await writeHead(this.#db, { epoch, serial, previousRuns, laneNumbers, runs });
  }

  /** True when reading can be tried again later: the database is being opened again, mended if need be. */
  #readFailed(error: unknown): boolean {
    if (this.#db.status !== 'open' || !this.#writer.isTrusted) return true;
    if (!this.#mending.request(error)) return false;
    this.#writer.distrust(error);
    return true;
  }

  async #measure(): Promise<void> {
    this.#writtenAtMeasure = this.#writer.bytesTotal;
    this.#sizeBytes = await folderBytes(this.#db.location);
  }

  #estimatedBytes(): number {
    return this.#sizeBytes + this.#writer.bytesTotal - this.#writtenAtMeasure;
  }

  async #nameLane(name: string): Promise<number> {
    const number = this.#maxLaneNumber + 1;
    const value = encodeLaneNumber(name, number);
    await this.#db.batch().put(laneNameKey(name), value).write({ sync: true });
    this.#maxLaneNumber = number;
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
      const { lacksReserve } = this.#writer;
      const isNearlyFull =
        lacksReserve || this.#estimatedBytes() > this.#config.maxBytes * NEARLY_FULL;
      for (const lane of this.#lanes.values()) {
        const isPressing = isNearlyFull || lane.lowWaterMark === lane.endOffset;
        await lane.tidy(isPressing);
        if (lacksReserve) await lane.giveSpaceBack('urgent');
        else await lane.giveSpaceBack(isPressing ? 'drained' : 'draining');
      }
      await this.#mending.atWork();
      await this.#room.keepBallast();
      await this.#measure();
    } catch (error) {
      // What one mending has not mended stays: reading goes around it, and nothing else must suffer.
      if (isCorruption(error) && !this.#mending.request(error)) return;
      this.#writer.distrust(error);
    }
  }
}
