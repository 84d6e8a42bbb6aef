import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreConfig } from '../config/types.ts';
import type { MessageStore, PreviousRun, RunNote, Unverified } from '../delivery/ports.ts';
import { GatewayError } from '../shared/errors.ts';
import { Checkpoint } from './checkpoint.ts';
import type { Witness } from './checkpoint-file.ts';
import { DiskRoom, folderBytes } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import { LaneNumbers } from './lane-numbers.ts';
import { LevelLaneLog } from './level-lane-log.ts';
import { Mending } from './mending.ts';
import type { Opened } from './open.ts';
import { isCorruption, unusableError } from './open-faults.ts';
import { LevelPacketIds } from './packet-ids.ts';
import { RunHistory } from './run-history.ts';
import { addHead, addSerial, checkFormat, type Head, planRun } from './run-start.ts';
import { Tidying } from './tidying.ts';
import { countParked } from './witness-check.ts';
import { BatchWriter } from './writer/batch-writer.ts';
import type { Database } from './writer/database.ts';

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

/** From this part of `store.maxBytes` on, what is settled is given back at once. */
const NEARLY_FULL = 0.8;

/** The store of the gateway: one LevelDB with a log per lane. See {@link MessageStore}. */
export class LevelStore implements MessageStore {
  readonly #config: Pick<StoreConfig, 'path' | 'maxBytes' | 'reserveBytes' | 'ballastBytes'>;
  readonly #events: StoreEvents;
  readonly #db: Database;
  readonly #room: DiskRoom;
  readonly #writer: BatchWriter;
  readonly #lanes = new Map<string, LevelLaneLog>();
  readonly #checkpoint: Checkpoint;
  readonly #mending: Mending;
  #witness: Witness | undefined;
  readonly #numbers: LaneNumbers;
  /** Of the last batch on disk that has one. */
  #serial = 0;
  /** The same, counting the batch that is being written. */
  #nextSerial = 0;
  readonly #tidying: Tidying;
  #isOpen = false;
  #sizeBytes = 0;
  #writtenAtMeasure = 0;
  /** QoS 2 packet identifiers of the MQTT sessions. */
  readonly packetIds: LevelPacketIds;
  readonly #runs: RunHistory;

  constructor(
    config: Pick<StoreConfig, 'path' | 'maxBytes' | 'reserveBytes' | 'ballastBytes'>,
    events: StoreEvents,
  ) {
    this.#config = config;
    this.#events = events;
    this.#room = new DiskRoom(config.path, config.reserveBytes, config.ballastBytes);
    this.#writer = this.#createWriter(join(config.path, 'db'));
    this.#db = this.#writer.database;
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
    this.#tidying = new Tidying({
      writer: this.#writer,
      lanes: this.#lanes,
      mending: this.#mending,
      isNearlyFull: () => this.#estimatedBytes() > config.maxBytes * NEARLY_FULL,
      alsoDo: () => this.#lookAfter(),
    });
    this.#numbers = new LaneNumbers(this.#writer);
    this.#runs = new RunHistory(this.#writer);
    this.packetIds = new LevelPacketIds(this.#db, this.#writer);
  }

  #createWriter(location: string): BatchWriter {
    return new BatchWriter(location, this.#room, {
      reopen: () => this.#reopen(),
      addHead: (batch) => addHead(batch, this.#head()),
      batchWritten: () => {
        this.#serial = this.#nextSerial;
        this.#checkpoint.touch();
      },
      addInPassing: (batch, isWitnessed) => {
        for (const lane of this.#lanes.values()) lane.addMark(batch);
        this.#nextSerial = this.#serial + (isWitnessed ? 0 : 1);
        if (!isWitnessed) addSerial(batch, this.#nextSerial);
      },
      onTrouble: (error) => {
        if (isCorruption(error)) this.#mending.request(error);
        this.#events.onTrouble(error);
      },
      onRecovered: () => this.#events.onRecovered(),
    });
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
    const opened = await this.#mending.start(this.#witness);
    const unverified = this.#unverifiedBy(opened);
    try {
      await this.#beginRun(opened, unverified);
    } catch (error) {
      await this.#db.close();
      if (error instanceof GatewayError) throw error;
      await this.#beginRunOnFullDisk(unverified);
    }
    this.#isOpen = true;
    await this.#measure();
    await this.#room.keepBallast();
    this.#tidying.start();
    await this.#checkpoint.flush();
  }

  /** `freesRoom`, said when it is asked for first: its appends let messages of other lanes go, and may use the reserve. */
  async lane(name: string, { freesRoom = false }: LaneOptions = {}): Promise<LevelLaneLog> {
    await this.#numbers.name([name]);
    return this.#load(name, freesRoom);
  }

  /**
   * The logs of these lanes, in this order; those that are new are named by one write.
   * @throws {GatewayError} STORE_CLOSED, or why the disk failed: then none of them is named.
   */
  async lanes(names: readonly string[]): Promise<LevelLaneLog[]> {
    await this.#numbers.name(names);
    return Promise.all(names.map((name) => this.#load(name, false)));
  }

  async #load(name: string, freesRoom: boolean): Promise<LevelLaneLog> {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const log = new LevelLaneLog({
      db: this.#db,
      writer: this.#writer,
      name,
      number: this.#numbers.durable.get(name) ?? 0,
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
    return [...this.#numbers.durable.keys()];
  }

  /** How many messages the lane has parked. Reads their keys unless the lane is in use. */
  async parkedCount(lane: string): Promise<number> {
    const known = this.#lanes.get(lane);
    if (known !== undefined) return known.parkedMessages;
    const number = this.#numbers.durable.get(lane);
    if (number === undefined) return 0;
    return countParked(this.#db, number);
  }

  get epoch(): number {
    return this.#runs.epoch;
  }

  get run(): string {
    return this.#runs.run;
  }

  get runs(): ReadonlyMap<number, RunNote> {
    return this.#runs.notes;
  }

  get unverified(): readonly Unverified[] {
    return this.#runs.unverified;
  }

  get previousRuns(): readonly PreviousRun[] {
    return this.#runs.previous;
  }

  noteRun(change: Pick<RunNote, 'clock' | 'machine' | 'birth'>): Promise<void> {
    return this.#runs.note(change);
  }

  previousRunsTold(): Promise<void> {
    return this.#runs.told();
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
    await this.#tidying.stop();
    for (const lane of this.#lanes.values()) await lane.endRead();
    if (this.#writer.writable) await this.#writeEnd(lastSeqs).catch(() => undefined);
    await this.#writer.close();
    await this.#db.close();
    await this.#mending.closed();
    await this.#checkpoint.close();
    await rm(join(this.#config.path, 'owner'), { force: true });
  }

  /** @throws when the disk fails: the next start finds what would have been tidied, and no clean end. */
  async #writeEnd(lastSeqs: ReadonlyMap<string, number> | undefined): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.tidy(true)));
    if (lastSeqs !== undefined) await this.#runs.end(lastSeqs);
  }

  /** What may be gone uncounted, now that it is open: nothing when the checkpoint tells, or when it is new. */
  #unverifiedBy({ contents, isMended }: Opened): RunNote['unverified'] | undefined {
    if (this.#witness !== undefined) return undefined;
    if (contents.epoch > 0) return 'ends';
    return isMended || this.#checkpoint.isUnreadable ? 'all' : undefined;
  }

  async #beginRun(
    { contents }: Opened,
    unverified: RunNote['unverified'] | undefined,
  ): Promise<void> {
    await checkFormat(this.#db, this.#config.path);
    const run = await planRun(this.#db, contents, { witness: this.#witness, unverified });
    this.#runs.begin(run);
    this.#serial = run.serial;
    this.#numbers.found(run.laneNumbers, run.maxLaneNumber);
    await this.#writer.begin();
    await writeFile(join(this.#config.path, 'owner'), String(process.pid)).catch(() => undefined);
    if (unverified === undefined) return;
    const detail =
      unverified === 'ends'
        ? 'there is no checkpoint: if the end of a log is missing, it is not known'
        : 'there is neither a database nor a checkpoint that can be read: what was stored is gone, uncounted';
    this.#events.onFinding({ kind: 'tail-unverified', detail });
  }

  /**
   * There was room to open, not to write: the ballast's room is for this. What the first try left behind is no sign of
   * an earlier run, so what is unverified is what it was before that.
   */
  async #beginRunOnFullDisk(unverified: RunNote['unverified'] | undefined): Promise<void> {
    await this.#room.releaseBallast();
    const opened = await this.#mending.start(this.#witness);
    try {
      await this.#beginRun(opened, unverified);
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
  }

  #head(): Head {
    const { epoch, previous: previousRuns, notes: runs } = this.#runs;
    return { epoch, serial: this.#serial, previousRuns, laneNumbers: this.#numbers.durable, runs };
  }

  /** True when reading can be tried again later: the database is being opened again, mended if need be. */
  #readFailed(error: unknown): boolean {
    if (this.#db.status !== 'open' || !this.#writer.isTrusted) return true;
    if (!this.#mending.request(error)) return false;
    this.#writer.distrust(error);
    return true;
  }

  async #lookAfter(): Promise<void> {
    await this.#mending.atWork();
    await this.#room.keepBallast();
    await this.#measure();
  }

  async #measure(): Promise<void> {
    const { bytesTotal } = this.#writer;
    const sizeBytes = await folderBytes(this.#db.location);
    // Both at once: one without the other would forget what was written since the last time.
    this.#writtenAtMeasure = bytesTotal;
    this.#sizeBytes = sizeBytes;
  }

  /** With what is queued to be written: else one message for many lanes would find room in each of them. */
  #estimatedBytes(): number {
    const { bytesTotal, queuedBytes } = this.#writer;
    return this.#sizeBytes + bytesTotal - this.#writtenAtMeasure + queuedBytes;
  }
}
