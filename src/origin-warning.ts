import type { Config } from './config/types.ts';
import type { Log } from './observe/log.ts';
import type { LevelStore } from './store/level-store.ts';
import { type StoreOrigin, traceOrigin } from './store/origin.ts';

/** What people must know of a store that was somewhere else before. */
const TEXTS: Readonly<Partial<Record<StoreOrigin, string>>> = {
  moved:
    'the store was last used on another machine: if that one, or a copy of it, still runs with this gateway.id, give one of them another (docs/backup.md)',
  copied:
    'the files of the store are a copy, such as a backup that was put back: what was stored since it was made is not in it, and what was delivered since may come again (docs/backup.md)',
};

/** Finds out where the opened store comes from. From elsewhere is no fault, but its double may still be at work: then it warns. */
export async function traceAndWarn(
  store: LevelStore,
  { store: { path }, gateway }: Pick<Config, 'store' | 'gateway'>,
  log: Log,
): Promise<StoreOrigin> {
  const origin = await traceOrigin(store, path);
  const text = TEXTS[origin];
  const { epoch, run } = store;
  if (text !== undefined) {
    log.warn({ event: `store-${origin}`, gatewayId: gateway.id, path, epoch, run }, text);
  }
  return origin;
}
