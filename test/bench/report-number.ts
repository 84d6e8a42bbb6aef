import type { Spread } from './statistics.ts';

const MB_BYTES = 1_000_000;
/** Below it, digits after the point still say something. */
const WHOLE_FROM = 100;
const SIGNIFICANT_DIGITS = 3;

/** What words in the name of a metric become; the rest is written small. */
const WORDS: Readonly<Record<string, string>> = {
  Ms: 'ms',
  Us: 'µs',
  Cpu: 'CPU',
  Puback: 'PUBACK',
  Mb: 'MB',
};
const UNITS: ReadonlySet<string> = new Set(['Ms', 'Us', 'Bytes', 'Mb', 'Seconds']);

/** How the numbers of one metric are written. */
export interface MetricStyle {
  /** In words with the unit, such as `PUBACK p99, ms`. */
  readonly label: string;
  /** What a number is divided by. */
  readonly divisor: number;
}

/** Reads the unit from the name; bytes become MB (10⁶) where the largest is that large. */
export function styleOf(metric: string, largest: number): MetricStyle {
  const words = metric.replaceAll(/([A-Z])/g, ' $1').split(' ');
  const capital = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const unit = capital.at(-1) ?? '';
  const isLarge = unit === 'Bytes' && largest >= MB_BYTES;
  const texts = capital.map((word) => WORDS[word] ?? word.toLowerCase());
  if (isLarge) texts.splice(-1, 1, 'MB');
  const label = UNITS.has(unit)
    ? `${texts.slice(0, -1).join(' ')}, ${texts.at(-1)}`
    : texts.join(' ');
  return { label, divisor: isLarge ? MB_BYTES : 1 };
}

/** Whole from 100 on, below with three significant digits. */
export function formatNumber(value: number): string {
  const options =
    Math.abs(value) >= WHOLE_FROM
      ? { maximumFractionDigits: 0 }
      : { maximumSignificantDigits: SIGNIFICANT_DIGITS };
  return value.toLocaleString('en', options);
}

/** The median, and behind it the smallest and the largest where there was more than one round. */
export function formatSpread(spread: Spread | undefined, divisor = 1): string {
  if (spread === undefined) return '–';
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) =>
    formatNumber(value / divisor),
  );
  return min === max ? `${median}` : `${median} (${min} – ${max})`;
}
