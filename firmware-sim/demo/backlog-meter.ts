/** Often enough for a live view that changes twice a second, in ms. */
const SCRAPE_EVERY_MS = 500;
/** An answer that takes longer is of no use to a live view, in ms. */
const SCRAPE_LIMIT_MS = 1_000;

/** Follows one lane's backlog, in messages, on the gateway's /metrics. The gateway may be away. */
export class BacklogMeter {
  readonly #adminUrl: string;
  readonly #lane: string;
  #timer: NodeJS.Timeout | undefined;
  #latest: number | undefined;
  #peak = 0;

  constructor(adminUrl: string, lane: string) {
    this.#adminUrl = adminUrl;
    this.#lane = lane;
  }

  /** Undefined while the gateway does not answer or has no such gauge. */
  get latest(): number | undefined {
    return this.#latest;
  }

  get peak(): number {
    return this.#peak;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#read(), SCRAPE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(SCRAPE_LIMIT_MS);
      const response = await fetch(`${this.#adminUrl}/metrics`, { signal });
      this.#latest = response.ok ? backlogIn(await response.text(), this.#lane) : undefined;
    } catch {
      this.#latest = undefined; // not listening: it is being restarted
    }
    this.#peak = Math.max(this.#peak, this.#latest ?? 0);
  }
}

/** The value of the lane's gauge `tidegate_lane_backlog_messages` in a Prometheus text. */
export function backlogIn(metrics: string, lane: string): number | undefined {
  for (const line of metrics.split('\n')) {
    if (!line.startsWith('tidegate_lane_backlog_messages{')) continue;
    if (!line.includes(`lane="${lane}"`)) continue;
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (Number.isFinite(value)) return value;
  }
  return undefined;
}
