import type { WritingHandle } from '../../src/store/writer/handle.ts';

/** A write on its way to LevelDB. */
export interface DiskWrite {
  readonly kind: 'batch' | 'put' | 'del' | 'clear';
  readonly isSync: boolean;
}

interface WriteOptions {
  readonly sync?: boolean;
}

/** The writes of real databases in the hands of a test. Opening, reading and compacting are as ever. */
export class ControlledDisk {
  /** Asked before each write: what rejects fails, what waits is held up. */
  before: (write: DiskWrite, location: string) => Promise<void> = () => Promise.resolve();

  /** The database with its writes under control. */
  control(db: WritingHandle): WritingHandle {
    const { location } = db;
    const ask = (kind: DiskWrite['kind'], options: WriteOptions | undefined): Promise<void> =>
      this.before({ kind, isSync: options?.sync === true }, location);
    const original = {
      batch: db.batch.bind(db),
      put: db.put.bind(db),
      del: db.del.bind(db),
      clear: db.clear.bind(db),
    };
    const chained = (): ReturnType<WritingHandle['batch']> => {
      const batch = original.batch();
      const write = batch.write.bind(batch);
      const controlled = async (options?: WriteOptions): Promise<void> => {
        await ask('batch', options).catch((error: unknown) =>
          batch.close().then(() => Promise.reject(error)),
        );
        await write(options ?? {});
      };
      return Object.assign(batch, { write: controlled });
    };
    return Object.assign(db, {
      batch: (...args: readonly unknown[]) => {
        const [operations, options] = args;
        if (operations === undefined) return chained();
        const isSync = options instanceof Object && 'sync' in options && options.sync === true;
        return ask('batch', { sync: isSync }).then(() => Reflect.apply(original.batch, db, args));
      },
      put: (key: Buffer, value: Buffer, options: WriteOptions = {}) =>
        ask('put', options).then(() => original.put(key, value, options)),
      del: (key: Buffer, options: WriteOptions = {}) =>
        ask('del', options).then(() => original.del(key, options)),
      clear: (options: Parameters<typeof original.clear>[0] = {}) =>
        ask('clear', undefined).then(() => original.clear(options)),
    });
  }
}
