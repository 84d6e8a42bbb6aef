import { expect, test } from 'vitest';
import type { MachineFacts } from './facts.ts';
import { benchReport } from './report.ts';
import { formatNumber, formatSpread, styleOf } from './report-number.ts';
import { asText, goalTable, subjectTable } from './report-table.ts';
import { judge } from './runner-goals.ts';
import type { ScenarioResult } from './runner-result.ts';

const FACTS: MachineFacts = {
  date: '2026-11-24T23:45:00.000Z',
  commit: 'abc1234',
  node: '20.20.2',
  rabbitmq: '3.10.8',
  mosquitto: '2.0.11',
  cores: 2,
  memoryMib: 8000,
  cpu: 'Cortex-A72',
  kernel: '6.1.0',
  loadBefore: 0.25,
  syncP50Ms: 1.234,
  syncP99Ms: 12.34,
  ceilingPerSecond: 234_567,
};

const RESULT: ScenarioResult = {
  name: 'ingest',
  title: 'Acknowledged ingest',
  about: 'The link is cut.',
  subjects: ['ours', 'theirs'],
  isDefault: true,
  goals: [
    {
      what: 'ingest against theirs',
      metric: 'messagesPerSecond',
      of: 'ours',
      against: 'theirs',
      as: 'ratio',
      isGood: 'high',
      atLeast: 5,
      aim: 8,
      unit: '×',
    },
  ],
  facts: FACTS,
  rounds: [
    { round: 1, subject: 'ours', measured: { messagesPerSecond: 60_000 }, seconds: 1 },
    { round: 1, subject: 'theirs', measured: { messagesPerSecond: 10_000 }, seconds: 1 },
    { round: 2, subject: 'ours', measured: { messagesPerSecond: 50_000 }, seconds: 1 },
    { round: 2, subject: 'theirs', failure: 'it fell\nstack', seconds: 1 },
  ],
};

test.each([
  [0, '0'],
  [0.012345, '0.0123'],
  [12.345, '12.3'],
  [99.96, '100'],
  [1234.5, '1,235'],
])('%d is written as %s', (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

test('a metric is named in words with its unit', () => {
  expect(styleOf('messagesPerSecond', 5).label).toBe('messages per second');
  expect(styleOf('pubackP99Ms', 5).label).toBe('PUBACK p99, ms');
  expect(styleOf('residentMb', 5).label).toBe('resident, MB');
  expect(styleOf('cpuUsPerMessage', 5).label).toBe('CPU µs per message');
  expect(styleOf('bytesPerMessage', 5e6)).toEqual({ label: 'bytes per message', divisor: 1 });
});

test('many bytes are written in MB', () => {
  expect(styleOf('residentBytes', 80e6)).toEqual({ label: 'resident, MB', divisor: 1e6 });
  expect(styleOf('residentBytes', 8000)).toEqual({ label: 'resident, bytes', divisor: 1 });
});

test('smallest and largest stand behind the median when they differ', () => {
  expect(formatSpread({ median: 2, min: 1, max: 4, count: 3 })).toBe('2 (1 – 4)');
  expect(formatSpread({ median: 2, min: 2, max: 2, count: 1 })).toBe('2');
  expect(formatSpread(undefined)).toBe('–');
});

test('the table of a scenario has a row for each subject', () => {
  expect(subjectTable(RESULT)).toEqual([
    ['', 'messages per second'],
    ['ours', '55,000 (50,000 – 60,000)'],
    ['theirs', '10,000'],
  ]);
});

test('a subject without one good round stands in the table as failed', () => {
  const rounds = RESULT.rounds.filter(({ subject }) => subject === 'ours');
  expect(subjectTable({ ...RESULT, rounds })[2]).toEqual(['theirs: FAILED', '–']);
});

test('a goal is told with what was measured, the limits and whether it is met', () => {
  const verdicts = RESULT.goals.map((goal) => judge(goal, RESULT));
  expect(goalTable(verdicts)[1]).toEqual(['ingest against theirs', '6 ×', '≥ 5 ×', '≥ 8 ×', 'yes']);
});

test('columns stand one below the other on a terminal', () => {
  expect(
    asText([
      ['', 'x'],
      ['name', '10'],
    ]),
  ).toBe('       x\nname  10\n');
});

test('the report begins with the goals and has a section with facts, table, chart and failures', () => {
  const report = benchReport([RESULT], [{ name: 'ours', about: 'Ours.' }]);
  expect(report.indexOf('| ingest against theirs | 6 × |')).toBeGreaterThan(0);
  expect(report).toContain('1 of 1 goals are met, 0 missed, 0 not measured.');
  expect(report).toContain(
    '## ingest\n\nAcknowledged ingest. The link is cut.\n\n2 rounds; 2026-11-24 23:45 UTC, commit abc1234;',
  );
  expect(report).toContain('| ours | 55,000 (50,000 – 60,000) |');
  expect(report).toContain('![Acknowledged ingest](bench/ingest.svg)');
  expect(report).toContain('- theirs, round 2: it fell\n');
  expect(report).not.toContain('stack');
});

test('goals that are missed or could not be measured are counted', () => {
  const missed = { ...RESULT, goals: RESULT.goals.map((goal) => ({ ...goal, atLeast: 7 })) };
  const absent = { ...RESULT, rounds: [] };
  const report = benchReport([missed, absent], []);
  expect(report).toContain('0 of 2 goals are met, 1 missed, 1 not measured.');
  expect(report).toContain('| NO |');
});

test('goals of scenarios that only run by name stand in their own section', () => {
  const report = benchReport([{ ...RESULT, isDefault: false }], []);
  expect(report).not.toContain('## Goals');
  expect(report.indexOf('| ingest against theirs')).toBeGreaterThan(report.indexOf('## ingest'));
});
