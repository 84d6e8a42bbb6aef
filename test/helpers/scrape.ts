/** Values of `/metrics`, by name with labels as they stand in the text, such as `tidegate_lane_state{lane="a",state="direct"}`. */
export type MetricValues = ReadonlyMap<string, number>;

/** Reads the metrics of the gateway whose admin HTTP is at this port of 127.0.0.1. */
export async function scrape(adminPort: number): Promise<MetricValues> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  const values = new Map<string, number>();
  for (const line of (await answer.text()).split('\n')) {
    const end = line.lastIndexOf(' ');
    if (line.startsWith('#') || end < 0) continue;
    values.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return values;
}

/** The state that lane is in: direct, spilling, draining or stalled. */
export function laneState(values: MetricValues, lane: string): string {
  for (const [name, value] of values) {
    const state = /^tidegate_lane_state\{lane="([^"]+)",state="([^"]+)"\}$/.exec(name);
    if (state?.[1] === lane && value === 1) return state[2] ?? '';
  }
  return 'unknown';
}
