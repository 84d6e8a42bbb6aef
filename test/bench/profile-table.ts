import { byFunction, byOrigin, type Frame, type Shares } from './cpu-profile.ts';
import { asText } from './report-table.ts';

/** Beyond that nothing is worth a change. */
const ROWS = 25;
const PERCENT = 100;
const US_PER_MS = 1000;

/** Where the time went: by package, and the first functions by their own time and by that with all they called. */
export function profileTables(root: Frame): string {
  return [
    table('package', byOrigin(root), root.totalUs),
    table('function, self', byFunction(root).slice(0, ROWS), root.totalUs),
    table('function, total', totalByFunction(root).slice(0, ROWS), root.totalUs),
  ].join('\n');
}

/** Time in each function with all that it called; one that calls itself counts once. The root is left out. */
export function totalByFunction(root: Frame): Shares {
  const sums = new Map<string, number>();
  const running = new Set<string>();
  const add = (frame: Frame): void => {
    const key = `${frame.name}  ${frame.origin}`;
    const isOuter = !running.has(key);
    if (isOuter) {
      sums.set(key, (sums.get(key) ?? 0) + frame.totalUs);
      running.add(key);
    }
    for (const child of frame.children) add(child);
    if (isOuter) running.delete(key);
  };
  for (const child of root.children) add(child);
  return [...sums].sort(([, one], [, other]) => other - one);
}

function table(title: string, shares: Shares, allUs: number): string {
  const rows = shares
    .filter(([, us]) => us > 0)
    .map(([name, us]) => [
      name,
      (us / US_PER_MS).toFixed(0),
      `${((us / allUs) * PERCENT).toFixed(1)} %`,
    ]);
  return asText([[title, 'ms', 'share'], ...rows]);
}
