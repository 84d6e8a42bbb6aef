import { formatNumber, formatSpread, styleOf } from './report-number.ts';
import type { Verdict } from './runner-goals.ts';
import { metricsOf, type ScenarioResult, unmeasured, valuesOf } from './runner-result.ts';
import { spread } from './statistics.ts';

/** Rows of texts; the first row is the header, the first column has names. */
export type Table = readonly (readonly string[])[];

/** What each subject reached: medians, with the smallest and largest of the rounds. */
export function subjectTable(result: Pick<ScenarioResult, 'subjects' | 'rounds'>): Table {
  const columns = metricsOf(result).map((metric) => {
    const all = result.subjects.flatMap((subject) => valuesOf(result, subject, metric));
    const { label, divisor } = styleOf(metric, Math.max(...all));
    const cells = result.subjects.map((subject) =>
      formatSpread(spread(valuesOf(result, subject, metric)), divisor),
    );
    return [label, ...cells];
  });
  const failed = unmeasured(result);
  const names = result.subjects.map((name) => (failed.includes(name) ? `${name}: FAILED` : name));
  return ['', ...names].map((name, row) => [name, ...columns.map((column) => column[row] ?? '')]);
}

const OUTCOMES: Readonly<Record<Verdict['outcome'], string>> = {
  aim: 'yes, the aim too',
  'at least': 'yes',
  missed: 'NO',
  'not measured': 'not measured',
};

/** What was to be reached and what was. */
export function goalTable(verdicts: readonly Verdict[]): Table {
  const header = ['what', 'measured', 'at least', 'aim', 'met'];
  const rows = verdicts.map(({ goal, compared, outcome }) => {
    const sign = goal.isGood === 'high' ? '≥' : '≤';
    const limit = (value: number): string => `${sign} ${withUnit(formatNumber(value), goal.unit)}`;
    const measured = compared === undefined ? '–' : withUnit(formatSpread(compared), goal.unit);
    return [goal.what, measured, limit(goal.atLeast), limit(goal.aim), OUTCOMES[outcome]];
  });
  return [header, ...rows];
}

function withUnit(text: string, unit: string): string {
  return unit === '' ? text : `${text} ${unit}`;
}

/** For a terminal: columns one below the other, numbers at the right. */
export function asText(table: Table): string {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return `${table.map(line).join('\n')}\n`;
}

/** For a page. */
export function asMarkdown([header = [], ...rows]: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return `${[header, rule, ...rows].map(line).join('\n')}\n`;
}
