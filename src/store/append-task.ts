import type { AppendDone } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { recordKey } from './keys.ts';
import type { Identity } from './lane-reader.ts';
import { encodeRecord } from './record.ts';
import type { RecordTexts } from './record-texts.ts';
import type { Batch, WriteTask } from './writer/write-task.ts';

/** Bytes of a record beside its payload, topic name and client id, roughly. */
const OVERHEAD_BYTES = 64;

/** Where a lane's log ends. */
export interface LogEnd {
  /** Offset of the next record that goes into a batch. */
  nextAssigned: number;
  /** Behind the last record that was told to be durable. */
  endOffset: number;
  /** Behind the last record that is on disk; below `endOffset` when records at the end are lost. */
  durableEnd: number;
  /** The youngest message that arrived, not one that was released. */
  last: Identity | undefined;
}

export interface AppendParts {
  /** Number of the lane. */
  readonly number: number;
  readonly end: LogEnd;
  readonly texts: RecordTexts;
  readonly freesRoom: boolean;
}

/** What goes into the batch of a released message beside its record. */
export type Also = (batch: Batch, offset: number) => void;

/** One message on its way into a log: one object and no closure, as there is one for each message that is stored. */
export class AppendTask implements WriteTask {
  readonly bytes: number;
  readonly #parts: AppendParts;
  readonly #message: LaneMessage;
  readonly #done: AppendDone;
  readonly #also: Also | undefined;
  #offset = 0;

  constructor(parts: AppendParts, message: LaneMessage, done: AppendDone, also?: Also) {
    this.#parts = parts;
    this.#message = message;
    this.#done = done;
    this.#also = also;
    this.bytes =
      message.payload.length + message.topic.length + message.clientId.length + OVERHEAD_BYTES;
  }

  /** What is released is on the disk already, and only in the log it can leave it. */
  get freesRoom(): boolean {
    return this.#parts.freesRoom || this.#also !== undefined;
  }

  /** By the end of its log. */
  get isWitnessed(): boolean {
    return this.#also === undefined;
  }

  addTo(batch: Batch): void {
    const { end, number, texts } = this.#parts;
    // The offset is given only here: a batch that failed leaves no hole behind.
    this.#offset = end.nextAssigned++;
    const key = recordKey(number, this.#offset);
    const isReleased = this.#also !== undefined;
    batch.put(key, encodeRecord(key, this.#message, isReleased, texts.of(this.#message)));
    this.#also?.(batch, this.#offset);
  }

  written(): void {
    const { end } = this.#parts;
    end.endOffset = this.#offset + 1;
    end.durableEnd = this.#offset + 1;
    const { epoch, seq } = this.#message;
    if (this.#also === undefined) end.last = { epoch, seq };
  }

  told(): void {
    this.#done.appended(this.#offset);
  }

  abandoned(error: unknown): void {
    this.#done.failed(error);
  }
}
