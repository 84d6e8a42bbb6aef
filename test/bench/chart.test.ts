import { expect, test } from 'vitest';
import { chartOf } from './chart.ts';
import { logTicks, seriesOf } from './chart-curve.ts';
import type { Round, ScenarioResult } from './runner-result.ts';

const RESULT: ScenarioResult = {
  name: 'x',
  title: 'Ingest <fast>',
  about: '',
  subjects: ['tidegate-adaptive', 'rival'],
  isDefault: true,
  goals: [],
  facts: {
    date: '',
    commit: '',
    node: '',
    rabbitmq: '',
    cores: 2,
    memoryMib: 1,
    cpu: '',
    kernel: '',
    loadBefore: 0,
    syncP50Ms: 0,
    syncP99Ms: 0,
    ceilingPerSecond: 0,
  },
  rounds: [],
};

function round(subject: string, residentBytes: number): Round {
  return { round: 1, subject, measured: { residentBytes }, seconds: 1 };
}

test('bars are as long as their medians, and the range is a thin line', () => {
  const rounds = [
    round('tidegate-adaptive', 100e6),
    round('rival', 40e6),
    round('rival', 50e6),
    round('rival', 60e6),
  ];
  const chart = chartOf({ ...RESULT, rounds }) ?? '';
  const widths = [...chart.matchAll(/width="([\d.]+)" height="16"/g)].map(([, width]) =>
    Number(width),
  );
  expect(widths).toHaveLength(2);
  expect(widths[1]).toBeCloseTo((widths[0] ?? 0) / 2, 0);
  expect(chart.match(/class="range"/g)).toHaveLength(1);
  expect(chart).toContain('resident, MB');
  expect(chart).toContain('>50</text>');
  expect(chart).toContain('prefers-color-scheme: dark');
});

test('a chart stands alone and what it says is escaped', () => {
  const chart = chartOf({ ...RESULT, rounds: [round('tidegate-adaptive', 1), round('rival', 2)] });
  expect(chart).toContain('<title>Ingest &lt;fast&gt;</title>');
  expect(chart).not.toMatch(/href|url\(|@import/);
});

test('where nothing can be compared there is no chart', () => {
  expect(chartOf(RESULT)).toBeUndefined();
  expect(chartOf({ ...RESULT, rounds: [round('rival', 2)] })).toBeUndefined();
});

test('subjects that differ in their number alone are one line, from left to right', () => {
  const subjects = ['disk-first 1,000 clients', 'disk-first 1 client', 'adaptive 2 KiB'];
  const rounds = subjects.map((subject, index) => round(subject, index + 1));
  const series = seriesOf({ ...RESULT, subjects, rounds }, 'residentBytes');
  expect([...series.keys()]).toEqual(['disk-first', 'adaptive']);
  expect(series.get('disk-first')?.map(({ x }) => x)).toEqual([1, 1000]);
  expect(series.get('adaptive')?.map(({ x }) => x)).toEqual([2048]);
});

test('a subject that is nothing but a number belongs to a line without a name', () => {
  const result = { ...RESULT, subjects: ['10', '100'], rounds: [round('10', 1), round('100', 2)] };
  expect([...seriesOf(result, 'residentBytes').keys()]).toEqual(['']);
  const chart = chartOf({ ...result, chart: { metric: 'residentBytes', unit: 'clients' } }) ?? '';
  expect(chart).toContain('>clients</text>');
  expect(chart.match(/<circle/g)).toHaveLength(2);
  expect(chart).not.toContain('NaN');
});

test.each([
  [
    [3, 40],
    [2, 5, 10, 20, 50],
  ],
  [
    [10, 10],
    [10, 20],
  ],
  [
    [0.02, 0.3],
    [0.02, 0.05, 0.1, 0.2, 0.5],
  ],
])('the ticks of %j enclose it', (values, ticks) => {
  expect(logTicks(values)).toEqual(ticks);
});
