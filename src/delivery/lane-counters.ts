/** What happened in one lane since the process started. Each message lost on purpose is in `dropped`. */
export class LaneCounters {
  accepted = 0;
  direct = 0;
  stored = 0;
  published = 0;
  confirmed = 0;
  returned = 0;
  nacked = 0;
  channelLosses = 0;
  damaged = 0;
  /** Refused for want of room (`whenFull: reject`), and so not accepted. */
  refusedFull = 0;
  readonly dropped: Record<string, number> = Object.create(null);

  drop(reason: string): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
  }
}
