import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Settlement } from './settlement.ts';

test('the low-water mark is the length of the settled prefix, in whatever order confirms come', () => {
  fc.assert(
    fc.property(fc.nat(50), fc.array(fc.nat(60)), (start, steps) => {
      const settlement = new Settlement(start);
      const settled = new Set<number>();
      for (const step of steps) {
        const offset = start + step;
        settled.add(offset);
        settlement.settle(offset);
        let expected = start;
        while (settled.has(expected)) expected += 1;
        expect(settlement.lowWaterMark).toBe(expected);
        expect(settlement.isSettled(offset)).toBe(true);
        expect(settlement.isSettled(expected)).toBe(false);
      }
      const above = [...settled].filter((offset) => offset >= settlement.lowWaterMark);
      expect(settlement.aboveCount).toBe(above.length);
    }),
  );
});
