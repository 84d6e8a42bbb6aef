import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { encodeU48 } from './keys.ts';

/** Where one lane stood. */
export interface LaneWitness {
  readonly name: string;
  readonly number: number;
  readonly lowWaterMark: number;
  readonly endOffset: number;
  /** Identity of the last record appended in order of arrival; seq 0 when there was none. */
  readonly lastEpoch: number;
  readonly lastSeq: number;
  /** At least so many are parked. */
  readonly parked: number;
}

/** What the second witness says about the store. */
export interface Witness {
  readonly epoch: number;
  /** Of the last batch that is on disk; 0 when it is not known. */
  readonly serial: number;
  readonly lanes: readonly LaneWitness[];
}

/**
 * Two copies, each: u32 crc32 of the rest, u32 length of the rest, u48 generation, u32 epoch, u16 count, lanes,
 * u48 serial.
 * They are written in turn, so that a torn write leaves the other; the higher generation counts.
 */
const COPY_BYTES = 1024 * 1024;
const HEAD_BYTES = 8;
const FIXED_BYTES = 12;
const SERIAL_BYTES = 6;
const LANE_FIXED_BYTES = 2 + 6 + 6 + 4 + 6 + 4 + 2;

/** One copy, to be written at `copyPosition(generation)`. */
export function encodeWitness(generation: number, { epoch, serial, lanes }: Witness): Buffer {
  const bodies = [...lanes.map(encodeLane), encodeU48(serial)];
  const bytes = bodies.reduce((sum, body) => sum + body.length, FIXED_BYTES);
  const head = Buffer.allocUnsafe(HEAD_BYTES + FIXED_BYTES);
  head.writeUInt32BE(bytes, 4);
  head.writeUIntBE(generation, 8, 6);
  head.writeUInt32BE(epoch, 14);
  head.writeUInt16BE(lanes.length, 18);
  const copy = Buffer.concat([head, ...bodies]);
  if (copy.length > COPY_BYTES) throw new RangeError('The checkpoint has too many lanes.');
  copy.writeUInt32BE(crc32(copy.subarray(4)), 0);
  return copy;
}

export function copyPosition(generation: number): number {
  return (generation % 2) * COPY_BYTES;
}

/**
 * The newest whole copy, and its generation. Undefined when there is none.
 * @throws {Error} when the file cannot be read at all.
 */
export async function readWitness(
  path: string,
): Promise<{ generation: number; witness: Witness } | undefined> {
  const file = await open(path, 'r');
  try {
    const copies = [await readCopy(file, 0), await readCopy(file, 1)];
    return copies
      .filter((copy) => copy !== undefined)
      .sort((a, b) => b.generation - a.generation)[0];
  } finally {
    await file.close();
  }
}

async function readCopy(file: FileHandle, nth: number) {
  const head = await readAt(file, HEAD_BYTES, nth * COPY_BYTES);
  if (head.length < HEAD_BYTES) return undefined;
  const bytes = head.readUInt32BE(4);
  if (bytes < FIXED_BYTES || bytes > COPY_BYTES - HEAD_BYTES) return undefined;
  const copy = await readAt(file, HEAD_BYTES + bytes, nth * COPY_BYTES);
  if (copy.length < HEAD_BYTES + bytes) return undefined;
  if (copy.readUInt32BE(0) !== crc32(copy.subarray(4))) return undefined;
  return { generation: copy.readUIntBE(8, 6), witness: decodeBody(copy) };
}

async function readAt(file: FileHandle, bytes: number, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
  return buffer.subarray(0, bytesRead);
}

function encodeLane(lane: LaneWitness): Buffer {
  const name = Buffer.from(lane.name, 'utf8');
  const fixed = Buffer.allocUnsafe(LANE_FIXED_BYTES);
  fixed.writeUInt16BE(lane.number, 0);
  fixed.writeUIntBE(lane.lowWaterMark, 2, 6);
  fixed.writeUIntBE(lane.endOffset, 8, 6);
  fixed.writeUInt32BE(lane.lastEpoch, 14);
  fixed.writeUIntBE(lane.lastSeq, 18, 6);
  fixed.writeUInt32BE(lane.parked, 24);
  fixed.writeUInt16BE(name.length, 28);
  return Buffer.concat([fixed, name]);
}

function decodeBody(copy: Buffer): Witness {
  const lanes: LaneWitness[] = [];
  let at = HEAD_BYTES + FIXED_BYTES;
  for (let nth = 0; nth < copy.readUInt16BE(18); nth += 1) {
    const nameBytes = copy.readUInt16BE(at + 28);
    lanes.push({
      number: copy.readUInt16BE(at),
      lowWaterMark: copy.readUIntBE(at + 2, 6),
      endOffset: copy.readUIntBE(at + 8, 6),
      lastEpoch: copy.readUInt32BE(at + 14),
      lastSeq: copy.readUIntBE(at + 18, 6),
      parked: copy.readUInt32BE(at + 24),
      name: copy.toString('utf8', at + LANE_FIXED_BYTES, at + LANE_FIXED_BYTES + nameBytes),
    });
    at += LANE_FIXED_BYTES + nameBytes;
  }
  // Earlier versions wrote none.
  const serial = copy.length >= at + SERIAL_BYTES ? copy.readUIntBE(at, SERIAL_BYTES) : 0;
  return { epoch: copy.readUInt32BE(14), serial, lanes };
}
