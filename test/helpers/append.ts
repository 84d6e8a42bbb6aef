import type { LaneLog } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';

/** Appends to a log; resolves with the offset when the record is on disk, rejects when the store is closed before. */
export function append(log: Pick<LaneLog, 'append'>, message: LaneMessage): Promise<number> {
  return new Promise((appended, failed) => log.append(message, { appended, failed }));
}
