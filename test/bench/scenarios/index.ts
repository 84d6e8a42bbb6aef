import type { Scenario } from '../scenario.ts';
import { backlog } from './backlog.ts';
import { curves } from './curves.ts';
import { endToEnd } from './end-to-end.ts';
import { healthyWrites } from './healthy-writes.ts';
import { idleClients } from './idle-clients.ts';
import { ingest } from './ingest.ts';
import { latency } from './latency.ts';
import { slowDisk } from './slow-disk.ts';
import { startMappings } from './start-mappings.ts';

/** All scenarios, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  ingest,
  endToEnd,
  latency,
  healthyWrites,
  idleClients,
  startMappings,
  backlog,
  slowDisk,
  ...curves,
];
