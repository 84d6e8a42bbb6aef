/** An answer that takes longer is of no use to a live view, in ms. */
const SCRAPE_LIMIT_MS = 1_000;

/**
 * Reads a lane's backlog from the gateway's /metrics, in messages; undefined while the gateway does not
 * answer or has no such gauge.
 */
export async function readBacklog(adminUrl: string, lane: string): Promise<number | undefined> {
  try {
    const signal = AbortSignal.timeout(SCRAPE_LIMIT_MS);
    const response = await fetch(`${adminUrl}/metrics`, { signal });
    return response.ok ? backlogIn(await response.text(), lane) : undefined;
  } catch {
    return undefined; // not listening: it is being restarted
  }
}

/** The value of `tidegate_lane_backlog_messages` for the lane in a Prometheus text. */
export function backlogIn(metrics: string, lane: string): number | undefined {
  for (const line of metrics.split('\n')) {
    if (!line.startsWith('tidegate_lane_backlog_messages{')) continue;
    if (!line.includes(`lane="${lane}"`)) continue;
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (Number.isFinite(value)) return value;
  }
  return undefined;
}
