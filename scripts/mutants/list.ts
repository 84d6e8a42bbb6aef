import { CLOCK_MUTANTS } from './list-clock.ts';
import { DELIVERY_MUTANTS } from './list-delivery.ts';
import { DEPARTURE_MUTANTS } from './list-departures.ts';
import { EDGE_MUTANTS } from './list-edges.ts';
import { MEMORY_MUTANTS } from './list-memory.ts';
import { START_MUTANTS } from './list-start.ts';
import { STORE_MUTANTS } from './list-store.ts';
import { WRITER_MUTANTS } from './list-writer.ts';
import type { Mutant } from './mutant.ts';

/** Every way in which the product is broken to see that its tests notice. */
export const MUTANTS: readonly Mutant[] = [
  ...WRITER_MUTANTS,
  ...START_MUTANTS,
  ...STORE_MUTANTS,
  ...DELIVERY_MUTANTS,
  ...DEPARTURE_MUTANTS,
  ...MEMORY_MUTANTS,
  ...CLOCK_MUTANTS,
  ...EDGE_MUTANTS,
];
