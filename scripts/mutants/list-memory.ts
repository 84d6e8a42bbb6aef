import { type Mutant, unit } from './mutant.ts';

/** What is broken about the memory that all lanes share. */
export const MEMORY_MUTANTS: readonly Mutant[] = [
  {
    name: 'shared-budget-unbounded',
    breaks: 'A thousand lanes hold a thousand times what one may hold.',
    file: 'src/delivery/shared-budget.ts',
    find: 'return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes;',
    replace: 'return this.#usedBytes >= 0 || bytes > 0;',
    tests: [unit('delivery/shared-budget.test.ts')],
  },
  {
    name: 'shared-budget-not-given-back',
    breaks: 'A lane that has ended keeps its part of the memory that all share.',
    file: 'src/delivery/shared-budget.ts',
    find: '    this.give(this.heldBytes);\n',
    replace: '',
    tests: [unit('delivery/shared-budget.test.ts')],
  },
  {
    name: 'shared-budget-past-the-line',
    breaks: 'A lane takes memory past those that wait for it, which may wait for ever.',
    file: 'src/delivery/shared-budget.ts',
    find: 'const mayGo = this.#line.length === 0 || share === this.#turn;',
    replace: 'const mayGo = this.#line.length >= 0 || share === this.#turn;',
    tests: [unit('delivery/shared-budget.test.ts')],
  },
  {
    name: 'answered-stays-in-the-budget',
    breaks: 'What was in flight on a lost channel takes memory from all lanes for ever.',
    file: 'src/delivery/in-flight-window.ts',
    find: '    for (const entry of this.#entries) this.#share.give(publishedBytes(entry));\n',
    replace: '',
    tests: [unit('delivery/lane-budgets.property.test.ts')],
  },
  {
    name: 'parked-stays-in-the-budget',
    breaks: 'What was parked or given up takes memory from all lanes for ever.',
    file: 'src/delivery/departures.ts',
    find: '      this.#share.give(bytes);\n',
    replace: '',
    tests: [unit('delivery/lane-budgets.property.test.ts')],
  },
];
