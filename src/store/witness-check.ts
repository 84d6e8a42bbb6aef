import type { LaneWitness, Witness } from './checkpoint-file.ts';
import { type Contents, readPositions } from './contents.ts';
import { isParkedKey, parkedRange, recordKey } from './keys.ts';
import type { DatabaseView } from './writer/database.ts';

/** Keys read at once when they are only counted. */
const COUNT_AT_ONCE = 5_000;

/** True when the database has all that the checkpoint says it had. */
export async function agrees(
  db: DatabaseView,
  contents: Contents,
  witness: Witness,
): Promise<boolean> {
  if (contents.epoch < witness.epoch || contents.serial < witness.serial) return false;
  for (const lane of witness.lanes) if (!(await hasAll(db, contents, lane))) return false;
  return true;
}

/** True when no unsettled record is missing. Reads the key of each, so only for when there is a doubt. */
export async function isComplete(
  db: DatabaseView,
  contents: Contents,
  witness: Witness,
): Promise<boolean> {
  for (const number of contents.laneNumbers.values()) {
    const { mark, firstOffset, endOffset } = await readPositions(db, number);
    const settled = witness.lanes.find((lane) => lane.number === number)?.lowWaterMark;
    // Only without both it must be believed that the first record there is was the first.
    const from = Math.max(mark ?? settled ?? firstOffset ?? 0, settled ?? 0);
    const range = { gte: recordKey(number, from), lt: recordKey(number, endOffset) };
    if (from < endOffset && (await countKeys(db, range)) < endOffset - from) return false;
  }
  return true;
}

/** How many messages are parked in a lane, by their keys. */
export function countParked(db: DatabaseView, lane: number): Promise<number> {
  return countKeys(db, parkedRange(lane), isParkedKey);
}

/** How many keys there are in a range; with `counts`, of those for which it is true. */
export async function countKeys(
  db: DatabaseView,
  range: { gte: Buffer; lt: Buffer },
  counts: (key: Buffer) => boolean = () => true,
): Promise<number> {
  const keys = db.keys(range);
  try {
    for (let count = 0; ; ) {
      const found = await keys.nextv(COUNT_AT_ONCE);
      if (found.length === 0) return count;
      count += found.filter(counts).length;
    }
  } finally {
    await keys.close();
  }
}

async function hasAll(db: DatabaseView, contents: Contents, lane: LaneWitness): Promise<boolean> {
  if (contents.laneNumbers.get(lane.name) !== lane.number) return false;
  const { mark = 0, endOffset } = await readPositions(db, lane.number);
  const isSettled = lane.lowWaterMark >= lane.endOffset;
  if (!isSettled && Math.max(endOffset, mark) < lane.endOffset) return false;
  return lane.parked === 0 || (await countParked(db, lane.number)) >= lane.parked;
}
