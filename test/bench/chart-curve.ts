import { CHART_WIDTH, label, line, px, svg } from './chart-svg.ts';
import { formatNumber, styleOf } from './report-number.ts';
import { type ScenarioResult, valuesOf } from './runner-result.ts';
import { type Spread, spread } from './statistics.ts';

const HEIGHT = 420;
const LEFT = 80;
const RIGHT = CHART_WIDTH - 30;
const TOP = 60;
const BOTTOM = HEIGHT - 50;
/** Colours there are. */
const COLOURS = 4;
const STEPS = [1, 2, 5] as const;
/** More labels than that are hard to read; then only the powers of ten have one. */
const LABELS = 8;
const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2 };

interface Point {
  readonly x: number;
  readonly of: Spread;
}

/**
 * The metric against the number in each subject's name, both on log axes, medians with their range. Subjects that
 * differ in their number alone are one line. Undefined where nothing above 0 was measured.
 */
export function curveChart(
  result: ScenarioResult,
  chart: { readonly metric: string; readonly unit: string },
): string | undefined {
  const series = seriesOf(result, chart.metric);
  const points = [...series.values()].flat();
  if (points.length === 0) return undefined;
  const xTicks = logTicks(points.map(({ x }) => x));
  const yTicks = logTicks(points.flatMap(({ of }) => [of.min, of.max]));
  const toX = logScale(xTicks, LEFT, RIGHT);
  const toY = logScale(yTicks, BOTTOM, TOP);
  const style = styleOf(chart.metric, yTicks.at(-1) ?? 0);
  const content = [
    label(LEFT, TOP - 14, style.label, 'title'),
    label((LEFT + RIGHT) / 2, HEIGHT - 10, chart.unit, 'middle'),
  ];
  for (const tick of shown(xTicks)) {
    content.push(line([toX(tick), TOP], [toX(tick), BOTTOM], 'grid'));
    content.push(label(toX(tick), BOTTOM + 18, formatNumber(tick), 'small middle'));
  }
  for (const tick of shown(yTicks)) {
    content.push(line([LEFT, toY(tick)], [RIGHT, toY(tick)], 'grid'));
    content.push(label(LEFT - 8, toY(tick) + 4, formatNumber(tick / style.divisor), 'small end'));
  }
  for (const [index, [name, own]] of [...series].entries()) {
    content.push(...drawn({ name, own, index, toX, toY }));
  }
  return svg(result.title, HEIGHT, content);
}

/** The points of each line by its name, from left to right. */
export function seriesOf(result: ScenarioResult, metric: string): Map<string, Point[]> {
  const series = new Map<string, Point[]>();
  for (const subject of result.subjects) {
    const [text, digits = '', unit = ''] = /([\d][\d,_]*) ?(KiB|MiB)?/.exec(subject) ?? [''];
    const x = Number(digits.replaceAll(/[,_]/g, '')) * (UNITS[unit] ?? 1);
    const of = spread(valuesOf(result, subject, metric));
    if (of === undefined || !(of.min > 0 && x > 0)) continue;
    // Behind the number stands its unit, as a rule, which may be in the singular.
    const [before = '', after = ''] = subject.split(text).map(trimmed);
    const name = before === '' ? after : before;
    const points = [...(series.get(name) ?? []), { x, of }].toSorted((a, b) => a.x - b.x);
    series.set(name, points);
  }
  return series;
}

function trimmed(text: string): string {
  return text.replaceAll(/^[\s,-]+|[\s,-]+$/g, '');
}

/** 1, 2 and 5 times powers of ten, so far that all values lie between the first and the last. */
export function logTicks(values: readonly number[]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const all = Array.from({ length: last - first + 2 }, (_, index) => first + index).flatMap(
    (power) => STEPS.map((step) => Number(`${step}e${power}`)),
  );
  const from = all.findLastIndex((tick) => tick <= least);
  const to = all.findIndex((tick) => tick >= most && tick > (all[from] ?? 0));
  return all.slice(Math.max(0, from), to + 1);
}

function shown(ticks: readonly number[]): number[] {
  if (ticks.length <= LABELS) return [...ticks];
  return ticks.filter((tick) => Number.isInteger(Math.log10(tick)));
}

function logScale(ticks: readonly number[], from: number, to: number): (value: number) => number {
  const [least, most] = [Math.log(ticks[0] ?? 1), Math.log(ticks.at(-1) ?? 1)];
  return (value) => from + ((Math.log(value) - least) / (most - least)) * (to - from);
}

interface Series {
  readonly name: string;
  readonly own: readonly Point[];
  readonly index: number;
  readonly toX: (value: number) => number;
  readonly toY: (value: number) => number;
}

function drawn({ name, own, index, toX, toY }: Series): string[] {
  const colour = `s${index % COLOURS}`;
  const path = own.map(({ x, of }) => `${px(toX(x))} ${px(toY(of.median))}`).join('L');
  const legendX = LEFT + 220 * (index % COLOURS);
  return [
    `<path d="M${path}" class="series ${colour}"/>`,
    ...own.map(({ x, of }) => line([toX(x), toY(of.min)], [toX(x), toY(of.max)], 'range')),
    ...own.map(
      ({ x, of }) =>
        `<circle cx="${px(toX(x))}" cy="${px(toY(of.median))}" r="4" class="series ${colour}"/>`,
    ),
    ...(name === ''
      ? []
      : [
          line([legendX, 20], [legendX + 24, 20], `series ${colour}`),
          label(legendX + 30, 24, name),
        ]),
  ];
}
