import type { Scenario } from '../scenario.ts';
import { endToEnd } from './end-to-end.ts';
import { ingest } from './ingest.ts';

/** All scenarios, in the order in which they run. */
export const scenarios: readonly Scenario[] = [ingest, endToEnd];
