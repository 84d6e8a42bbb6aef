import type { ResultRow, RunFacts, ScenarioResult } from '../test/helpers/soak-result.ts';

const INTRODUCTION = `# Long fault runs

The newest result of each fault scenario in its long form. Made by \`npm run test:soak\`, do not edit.
Repeat all with that command, one with \`npm run test:soak -- sigkill\`; \`npm run test:soak -- --help\` lists names and flags.

Messages: *attempted* by devices, *acknowledged* to them, *delivered* at least once to a consumer. *Lost*: acknowledged and
never delivered. *Unexpected*: delivered and never sent. *Redelivered*: delivered again under the same \`message-id\`. *Resent*: sent
again by a device after a crash had swallowed its PUBACK. *Reordered*: first arrivals behind a later message of the same device.
*Confused*: a \`message-id\` that two messages have.
`;

const COUNTS = [
  'attempted',
  'acknowledged',
  'delivered',
  'lost',
  'unexpected',
  'redelivered',
  'resent',
  'reordered',
  'confused',
] as const;

/** The report of these results as Markdown, a section each, in the order of their names. */
export function soakReport(results: readonly ScenarioResult[]): string {
  const sorted = results.toSorted((a, b) => (a.scenario < b.scenario ? -1 : 1));
  return [INTRODUCTION, ...sorted.map(section)].join('\n');
}

/** Whether the scenario ran to its end and everything held. */
export function passed({ ended, rows }: ScenarioResult): boolean {
  return ended && rows.length > 0 && rows.every((row) => row.failures.length === 0);
}

function section(result: ScenarioResult): string {
  const { scenario, title, run, rows, ended } = result;
  const lines = [`## ${scenario}`, '', `${title}. **${passed(result) ? 'Passed' : 'FAILED'}.**`];
  if (run !== undefined) lines.push('', facts(run));
  if (rows.length > 0) lines.push('', ...table(rows));
  const failures = rows.flatMap((row) => row.failures.map((text) => `- ${row.name}: ${text}`));
  if (!ended) failures.push('- The test file did not end well; its output says why.');
  if (failures.length > 0) lines.push('', ...failures);
  return `${lines.join('\n')}\n`;
}

function facts(run: RunFacts): string {
  const { date, commit, node, rabbitmq, cores, memoryMib, seed, durationSeconds } = run;
  return (
    `${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit}, ${durationSeconds} s, seed ${seed}; ` +
    `Node ${node}, RabbitMQ ${rabbitmq}, ${cores} cores, ${memoryMib} MiB.`
  );
}

function table(rows: readonly ResultRow[]): string[] {
  const extras = [...new Set(rows.flatMap((row) => Object.keys(row.extras ?? {})))];
  const counts = COUNTS.filter((name) => rows.some((row) => row.verdict[name] !== undefined));
  const header = ['run', ...counts, ...extras];
  return [
    line(header),
    line(header.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map((row) =>
      line([
        row.name,
        ...counts.map((name) => cell(row.verdict[name])),
        ...extras.map((name) => cell(row.extras?.[name])),
      ]),
    ),
  ];
}

function cell(value: string | number | undefined): string {
  return typeof value === 'number' ? value.toLocaleString('en') : (value ?? '–');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
