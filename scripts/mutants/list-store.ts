import { contract, type Mutant, unit } from './mutant.ts';

/** What is broken about a store in use: what is read, deleted and told as lost. */
export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'cleared-without-the-mark',
    breaks: 'What is settled is deleted although the mark is not on disk.',
    file: 'src/store/level-lane-log.ts',
    find: 'if (mark > this.#persistedMark || notes.length > 0) await',
    replace: 'if (notes.length > 0) await',
    tests: [contract('lane-log-level.test.ts', 'without a checkpoint the mark')],
  },
  {
    name: 'clear-beyond-the-mark',
    breaks: 'A record above the low-water mark is deleted with those below it.',
    file: 'src/store/level-lane-log.ts',
    find: 'lt: recordKey(number, to) }',
    replace: 'lt: recordKey(number, to + 1) }',
    tests: [contract('lane-log-level.test.ts', 'keeps what is not settled over a restart')],
  },
  {
    name: 'checksum-not-checked',
    breaks: 'A record with a flipped bit is delivered.',
    file: 'src/store/record.ts',
    find: "  if (record.readUInt32BE(0) !== checksum(key, record)) throw damaged('its checksum differs');\n",
    replace: '',
    tests: [unit('store/record.test.ts')],
  },
  {
    name: 'lost-while-reopening',
    breaks: 'What is not there while the database is opened again is told as lost.',
    file: 'src/store/lane-reader.ts',
    find: 'if (!writer.isTrusted || writer.reopensTotal !== reopensTotal) {',
    replace: 'if (!writer.isTrusted && writer.reopensTotal === -1) {',
    tests: [unit('store/lane-reader.test.ts')],
  },
  {
    name: 'parked-twice-counts-twice',
    breaks:
      'A message that is parked twice in one batch is taken for two, one of which the next start misses.',
    file: 'src/store/lane-parking.ts',
    find: 'isNew ||= ahead === undefined && this',
    replace: 'isNew ||= this',
    tests: [contract('lane-log-level.test.ts', 'parked twice at once')],
  },
  {
    name: 'settled-told-as-lost',
    breaks: 'A read that begins below the mark tells what was settled and deleted as lost.',
    file: 'src/store/lane-reader.ts',
    find: 'const from = Math.max(offset, lowWaterMark());',
    replace: 'const from = offset;',
    tests: [unit('store/lane-reader.test.ts')],
  },
  {
    name: 'settled-while-it-is-read-told-as-lost',
    breaks: 'What is settled and deleted while it is read is told as lost.',
    file: 'src/store/lane-reader.ts',
    find: 'this.#lost(Math.max(from, lowWaterMark()), found, nextOffset)',
    replace: 'this.#lost(from, found, nextOffset)',
    tests: [unit('store/lane-reader.test.ts')],
  },
];
