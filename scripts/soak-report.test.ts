import { expect, test } from 'vitest';
import type { ScenarioResult } from '../test/helpers/soak-result.ts';
import { passed, soakReport } from './soak-report.ts';

const RESULT: ScenarioResult = {
  scenario: 'sigkill',
  title: 'Nothing is lost',
  run: {
    date: '2026-11-24T23:45:00.000Z',
    commit: 'abc1234',
    node: '20.19.2',
    rabbitmq: '3.10.8',
    cores: 2,
    memoryMib: 8000,
    seed: 7,
    durationSeconds: 61,
  },
  rows: [
    { name: '200 kills', verdict: { acknowledged: 1234, lost: 0 }, failures: [] },
    {
      name: '2 kills',
      verdict: { acknowledged: 5, lost: 0 },
      failures: [],
      extras: { peak: '9 MiB' },
    },
  ],
  ended: true,
};

test('a scenario is a section with its facts and a table of what was counted', () => {
  const report = soakReport([RESULT]);
  expect(report).toContain(
    '## sigkill\n\nNothing is lost. **Passed.**\n\n2026-11-24 23:45 UTC, commit',
  );
  expect(report).toContain('| run | acknowledged | lost | peak |\n| --- | ---: | ---: | ---: |');
  expect(report).toContain('| 200 kills | 1,234 | 0 | – |\n| 2 kills | 5 | 0 | 9 MiB |');
});

test('sections stand in the order of their names', () => {
  const report = soakReport([RESULT, { ...RESULT, scenario: 'outages' }]);
  expect(report.indexOf('## outages')).toBeLessThan(report.indexOf('## sigkill'));
});

test('what did not hold is said, and the scenario has failed', () => {
  const rows = [{ name: 'a', verdict: { lost: 1 }, failures: ['lost is 1 and must be 0'] }];
  const failed = { ...RESULT, rows };
  expect(passed(RESULT)).toBe(true);
  expect(passed(failed)).toBe(false);
  expect(soakReport([failed])).toContain('**FAILED.**');
  expect(soakReport([failed])).toContain('- a: lost is 1 and must be 0');
});

test('a test file that ended without a result has failed', () => {
  const crashed = { scenario: 'x', title: 'x', rows: [], ended: false };
  expect(passed(crashed)).toBe(false);
  expect(soakReport([crashed])).toContain('did not end well');
});
