import { DELIVERY_MUTANTS } from './list-delivery.ts';
import { EDGE_MUTANTS } from './list-edges.ts';
import { STORE_MUTANTS } from './list-store.ts';
import type { Mutant } from './mutant.ts';

/** Every way in which the product is broken to see that its tests notice. */
export const MUTANTS: readonly Mutant[] = [...STORE_MUTANTS, ...DELIVERY_MUTANTS, ...EDGE_MUTANTS];
