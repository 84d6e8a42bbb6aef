import { MemoryLaneLog } from '../helpers/memory-store.ts';
import { describeLaneLog } from './lane-log-contract.ts';

describeLaneLog('in memory', async () => {
  const log = new MemoryLaneLog();
  return { log, reopen: async () => log.reopened() };
});
