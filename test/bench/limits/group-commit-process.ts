/** LevelDB and nothing else: synced batches of records as large as the payload. Says one JSON line. */
import { ClassicLevel } from 'classic-level';
import { Filler } from '../filler.ts';
import type { GroupCommitOptions } from './group-commit.ts';

const MS_PER_SECOND = 1000;

const { dir, durationMs, payloadBytes, batch } = JSON.parse(
  process.argv[2] ?? '{}',
) as GroupCommitOptions;
const level = new ClassicLevel<Buffer, Buffer>(dir, {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
});
await level.open();
const filler = new Filler();
const beganMs = performance.now();
let written = 0;
while (performance.now() - beganMs < durationMs) {
  const chained = level.batch();
  for (let count = 0; count < batch; count += 1) {
    const key = Buffer.alloc(8);
    key.writeUInt32BE(written + count, 4);
    const value = Buffer.allocUnsafe(payloadBytes);
    filler.fill(value, 0, payloadBytes);
    chained.put(key, value);
  }
  await chained.write({ sync: true });
  written += batch;
}
const seconds = (performance.now() - beganMs) / MS_PER_SECOND;
await level.close();
process.stdout.write(`${JSON.stringify({ event: 'done', perSecond: written / seconds })}\n`);
