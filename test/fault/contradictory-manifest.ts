import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Tags of a version edit (LevelDB, db/version_edit.cc). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE_NUMBER = 3;
const LAST_SEQUENCE = 4;
const NEW_FILE = 7;
/** Of level 1 and above LevelDB asserts that its tables do not overlap. */
const LEVEL = 1;
/** A record that is whole in one block (LevelDB, doc/log_format.md). */
const FULL = 1;
const CHECKSUM_POLYNOMIAL = 0x82f63b78;
const CHECKSUM_MASK = 0xa282ead8;

/**
 * Writes a MANIFEST by which all tables of a closed database lie in level 1 and hold all keys each. LevelDB ends
 * the process that opens it (db/version_set.cc, MaybeAddFile).
 * @throws {Error} when there are not two tables at least.
 */
export async function contradict(location: string): Promise<void> {
  const tables = (await readdir(location)).filter((name) => name.endsWith('.ldb'));
  if (tables.length < 2) throw new Error('it takes two tables to overlap');
  const current = (await readFile(join(location, 'CURRENT'), 'utf8')).trim();
  const next = Number(/\d+/.exec(current)?.[0]) + 1;
  const edit = Buffer.concat([
    number(COMPARATOR),
    bytes(Buffer.from('leveldb.BytewiseComparator')),
    ...[number(LOG_NUMBER), number(0)],
    ...[number(NEXT_FILE_NUMBER), number(next + tables.length)],
    ...[number(LAST_SEQUENCE), number(1_000_000)],
    ...tables.flatMap((name) => [
      ...[NEW_FILE, LEVEL, Number.parseInt(name, 10), 1_000].map(number),
      ...[bytes(internalKey(0x00)), bytes(internalKey(0xff))],
    ]),
  ]);
  await writeFile(join(location, current), record(edit));
}

function internalKey(first: number): Buffer {
  return Buffer.from([first, 1, 0, 0, 0, 0, 0, 0, 0]);
}

function record(data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from([FULL]), data]);
  const checksum = checksumOf(typed);
  const rotated = ((checksum >>> 15) | (checksum << 17)) >>> 0;
  const head = Buffer.alloc(6);
  head.writeUInt32LE((rotated + CHECKSUM_MASK) >>> 0, 0);
  head.writeUInt16LE(data.length, 4);
  return Buffer.concat([head, typed]);
}

/** CRC-32C. */
function checksumOf(data: Buffer): number {
  let checksum = 0xffffffff;
  for (const byte of data) {
    checksum ^= byte;
    for (let bit = 0; bit < 8; bit += 1)
      checksum = (checksum >>> 1) ^ (checksum & 1 ? CHECKSUM_POLYNOMIAL : 0);
  }
  return ~checksum >>> 0;
}

/** As a varint. */
function number(value: number): Buffer {
  const parts: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) parts.push((rest % 0x80) | 0x80);
  return Buffer.from([...parts, rest]);
}

function bytes(data: Buffer): Buffer {
  return Buffer.concat([number(data.length), data]);
}
