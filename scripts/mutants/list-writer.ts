import { contract, type Mutant, unit } from './mutant.ts';

/** What is broken about writing: what counts as written, and what a failure of the disk makes of it. */
export const WRITER_MUTANTS: readonly Mutant[] = [
  {
    name: 'told-before-the-sync',
    breaks: 'A message counts as stored before the batch with its record is on disk.',
    file: 'src/store/writer/batch-writer.ts',
    find: '    await batch.write({ sync: true });\n    // A read',
    replace:
      '    batch.write({ sync: true }).catch((error) => this.#trouble(error));\n    // A read',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'no-sync',
    breaks: 'A batch counts as written when the operating system has it, before the disk has.',
    file: 'src/store/writer/batch-writer.ts',
    find: '    await batch.write({ sync: true });\n    // A read',
    replace: '    await batch.write({ sync: false });\n    // A read',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'no-sync-at-the-start',
    breaks: 'Messages are numbered in an epoch that is not on disk.',
    file: 'src/store/writer/batch-writer.ts',
    find: '    this.#hooks.addHead(batch);\n    await batch.write({ sync: true });',
    replace: '    this.#hooks.addHead(batch);\n    await batch.write({ sync: false });',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'counts-although-distrusted',
    breaks: 'A batch counts although the database failed while it was written.',
    file: 'src/store/writer/batch-writer.ts',
    find: "    if (this.#damaged) throw new Error('the database failed while a batch was being written');\n",
    replace: '',
    tests: [unit('store/writer/distrust.test.ts')],
  },
  {
    name: 'distrust-does-nothing',
    breaks: 'A failure that a read has found does not make the database be opened again.',
    file: 'src/store/writer/batch-writer.ts',
    find: `    this.#trouble(error);
    this.#start();`,
    replace: '    void error;',
    tests: [unit('store/writer/distrust.test.ts')],
  },
  {
    name: 'failed-compaction-believed',
    breaks: 'A compaction that fails is kept quiet.',
    file: 'src/store/writer/batch-writer.ts',
    find: '.catch((error: unknown) => this.distrust(error));',
    replace: '.catch(() => undefined);',
    tests: [unit('store/writer/distrust.test.ts')],
  },
  {
    name: 'failed-deletion-believed',
    breaks: 'A failure to delete what is settled does not make the database be opened again.',
    file: 'src/store/writer/batch-writer.ts',
    find: '      next.reject(error);\n      throw error;',
    replace: '      next.resolve();',
    tests: [contract('one-writer.test.ts', 'the deletion of what is settled')],
  },
  {
    name: 'failed-batch-believed',
    breaks: 'After a failed batch the next is written without opening the database again.',
    file: 'src/store/writer/batch-writer.ts',
    find: '        if (this.#damaged) await this.#reopen();',
    replace: '        this.#damaged = false;',
    tests: [contract('one-writer.test.ts')],
  },
  {
    name: 'failed-naming-believed',
    breaks:
      'After a reload on a full disk, whose lanes could not be named, the database is written on as it is.',
    file: 'src/store/writer/batch-writer.ts',
    find: '      this.#damaged = true;',
    replace: '      this.#damaged = !this.#tasks.hasFreeing;',
    tests: [contract('one-writer.test.ts', 'the number of a lane')],
  },
  {
    name: 'opened-and-not-written',
    breaks: 'A database that was opened again is trusted before it was written.',
    file: 'src/store/writer/batch-writer.ts',
    find: '    await this.#hooks.reopen();\n    await this.begin();',
    replace: '    await this.#hooks.reopen();',
    tests: [unit('store/writer/distrust.test.ts')],
  },
  {
    name: 'reserve-not-kept',
    breaks: 'Messages are written into the reserve of the disk.',
    file: 'src/store/writer/batch-writer.ts',
    find: 'this.#tasks.fill(batch, !this.lacksReserve);',
    replace: 'this.#tasks.fill(batch, true);',
    tests: [unit('store/writer/batch-writer.test.ts')],
  },
  {
    name: 'queue-not-counted',
    breaks: 'What is on its way to the disk has no part in how full the store is.',
    file: 'src/store/level-store.ts',
    find: '- this.#writtenAtMeasure + queuedBytes;',
    replace: '- this.#writtenAtMeasure + 0 * queuedBytes;',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'naming-failure-not-told',
    breaks: 'A lane whose name could not be written takes messages.',
    file: 'src/store/lane-numbers.ts',
    find: '    await this.#writer.written({ bytes, freesRoom: true, isOptional: true, addTo });',
    replace:
      '    await this.#writer.written({ bytes, freesRoom: true, isOptional: true, addTo }).catch(() => undefined);',
    tests: [contract('one-writer.test.ts', 'could not be named')],
  },
  {
    name: 'lane-number-used-again',
    breaks: 'A lane gets the number of one whose name may be on disk though its batch failed.',
    file: 'src/store/lane-numbers.ts',
    find: `    this.#max += 1;
    this.#reserved.set(name, this.#max);
    return this.#max;`,
    replace: '    return this.#max + 1 + this.#reserved.size;',
    tests: [contract('one-writer.test.ts', 'could not be named')],
  },
  {
    name: 'offset-used-again',
    breaks: 'Two records of a batch get one offset.',
    file: 'src/store/append-task.ts',
    find: 'end.nextAssigned++',
    replace: 'end.endOffset',
    tests: [contract('lane-log-level.test.ts', 'gives offsets 0, 1, 2')],
  },
  {
    name: 'hole-after-a-failed-batch',
    breaks: 'A failed batch leaves a hole in the log, which will be taken for damage.',
    file: 'src/store/level-lane-log.ts',
    find: '    this.#end.nextAssigned = this.endOffset;',
    replace: '    if (!this.#isLoaded) this.#end.nextAssigned = this.endOffset;',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'unpark-not-atomic',
    breaks: 'A message that is released leaves the parking place before it is in the log.',
    file: 'src/store/lane-parking.ts',
    find: '          batch.del(key).put(releasedKey(key), note);',
    replace:
      '          void this.#parts.db.del(key);\n          batch.put(releasedKey(key), note);',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'parked-told-too-soon',
    breaks: 'A message counts as parked before it is on disk.',
    file: 'src/store/lane-parking.ts',
    find: '    return this.#parts.writer.written({ bytes, freesRoom: true, addTo });',
    replace:
      '    void this.#parts.writer.written({ bytes, freesRoom: true, addTo });\n    return Promise.resolve();',
    tests: [contract('store-writes.test.ts')],
  },
  {
    name: 'packet-id-told-too-soon',
    breaks: 'A QoS 2 packet identifier counts as stored before it is on disk.',
    file: 'src/store/packet-ids.ts',
    find: '    return this.#writer.written({ bytes, freesRoom, addTo });',
    replace:
      '    void this.#writer.written({ bytes, freesRoom, addTo });\n    return Promise.resolve();',
    tests: [contract('store-writes.test.ts')],
  },
];
