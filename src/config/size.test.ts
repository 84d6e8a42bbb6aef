import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, parseBytes, SIZE_PATTERN } from './size.ts';

test.each([
  ['0', 0],
  ['64KiB', 65_536],
  ['10MB', 10_000_000],
  ['1.5GiB', 1_610_612_736],
  ['2 TiB', 2_199_023_255_552],
  ['7kB', 7000],
])('%s is %i bytes', (text, size) => {
  expect(parseBytes(text)).toBe(size);
  expect(text).toMatch(new RegExp(SIZE_PATTERN));
});

test.each(['', 'x', '-1', '5 bananas', '1.0001KiB', '1e3', '99999999TiB', '3mib'])(
  '"%s" is no size',
  (text) => {
    expect(parseBytes(text)).toBeUndefined();
  },
);

test('What formatBytes writes, parseBytes reads', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(4), (size, power) => {
      const rounded = size - (size % 1024 ** power);
      expect(parseBytes(formatBytes(rounded))).toBe(rounded);
    }),
  );
});
