import { chartOf } from './chart.ts';
import type { MachineFacts } from './facts.ts';
import { formatNumber } from './report-number.ts';
import { asMarkdown, goalTable, subjectTable } from './report-table.ts';
import { judge } from './runner-goals.ts';
import type { ScenarioResult } from './runner-result.ts';

const INTRODUCTION = `# Benchmarks

Tidegate, what could stand in its place, and the limits of the machine, put to the same work one after the other on the
same machine. Made by \`npm run bench\`, do not edit. One scenario alone: \`npm run bench -- ingest\`; \`npm run bench -- --list\`
names them all.

Each number is the median over the rounds, with the smallest and the largest in brackets. In a round all subjects are measured
in turns, because the speed of a machine drifts. What is compared is compared within each round, and then the median is taken.
All parts share the machine: the load, the gateway and the central broker take each other's processor time. So compare what
stands in the same table, and trust no figure as a promise for another machine.
`;

/** What stands in the tables under one name. */
export interface Subject {
  readonly name: string;
  readonly about: string;
}

/** The report of these results as Markdown: first the goals of all default scenarios, then a section for each scenario. */
export function benchReport(
  results: readonly ScenarioResult[],
  subjects: readonly Subject[],
): string {
  const measured = results.filter(({ isDefault }) => isDefault);
  const others = results.filter(({ isDefault }) => !isDefault);
  const legend = subjects.map(({ name, about }) => `- \`${name}\`: ${about}`).join('\n');
  return [
    INTRODUCTION,
    goals(measured),
    ...(legend === '' ? [] : [`## What is measured\n\n${legend}\n`]),
    ...[...measured, ...others].map(section),
  ].join('\n');
}

function goals(results: readonly ScenarioResult[]): string {
  const verdicts = results.flatMap((result) => result.goals.map((goal) => judge(goal, result)));
  if (verdicts.length === 0) return '';
  const missed = verdicts.filter(({ outcome }) => outcome === 'missed').length;
  const absent = verdicts.filter(({ outcome }) => outcome === 'not measured').length;
  const met = verdicts.length - missed - absent;
  const count = `${met} of ${verdicts.length} goals are met, ${missed} missed, ${absent} not measured.`;
  return `## Goals\n\n${count}\n\n${asMarkdown(goalTable(verdicts))}`;
}

function section(result: ScenarioResult): string {
  const { name, title, about, goals: own, isDefault, rounds, facts } = result;
  const count = new Set(rounds.map(({ round }) => round)).size;
  const lines = [
    `## ${name}`,
    `${title}. ${about}`,
    `${count === 1 ? '1 round' : `${count} rounds`}; ${factsLine(facts)}`,
    asMarkdown(subjectTable(result)).trimEnd(),
  ];
  if (chartOf(result) !== undefined) lines.push(`![${title}](bench/${name}.svg)`);
  if (!isDefault && own.length > 0) {
    lines.push(asMarkdown(goalTable(own.map((goal) => judge(goal, result)))).trimEnd());
  }
  const failures = rounds.flatMap(({ subject, round, failure }) =>
    failure === undefined ? [] : [`- ${subject}, round ${round}: ${failure.split('\n')[0]}`],
  );
  if (failures.length > 0) lines.push(['Failed, and not counted:', '', ...failures].join('\n'));
  return `${lines.join('\n\n')}\n`;
}

/** The machine and the time, in one sentence. */
export function factsLine(facts: MachineFacts): string {
  const { date, commit, node, rabbitmq, mosquitto, cores, cpu, memoryMib, kernel } = facts;
  const { loadBefore, syncP50Ms, syncP99Ms, ceilingPerSecond } = facts;
  return (
    `${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit}; Node ${node}, RabbitMQ ${rabbitmq}, ` +
    `${mosquitto === undefined ? '' : `Mosquitto ${mosquitto}, `}Linux ${kernel}, ${cores} cores (${cpu}), ${memoryMib} MiB; ` +
    `load average before ${formatNumber(loadBefore)}, a synced write of 4 KiB ${formatNumber(syncP50Ms)} ms ` +
    `(p99 ${formatNumber(syncP99Ms)} ms), ceiling of the load process ${formatNumber(ceilingPerSecond)} messages/s.`
  );
}
