import type { Fleet } from './fleet.ts';

/** On a terminal one line is redrawn; elsewhere lines are added, so fewer of them. */
const TERMINAL_EVERY_MS = 500;
const PLAIN_EVERY_MS = 2_000;

/** Shows on stderr how a fleet is doing, until `stop`. */
export class Progress {
  readonly #fleet: Fleet;
  readonly #stream: NodeJS.WriteStream;
  readonly #startedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #lastAcknowledged = 0;
  #lastMs = this.#startedMs;

  constructor(fleet: Fleet, stream: NodeJS.WriteStream) {
    this.#fleet = fleet;
    this.#stream = stream;
  }

  start(): void {
    const everyMs = this.#stream.isTTY ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS;
    this.#timer = setInterval(() => this.#show(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#show();
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  #show(): void {
    const line = this.#line();
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[2K${line}` : `${line}\n`);
  }

  #line(): string {
    const tally = this.#fleet.tally();
    const nowMs = performance.now();
    const perSecond =
      (1000 * (tally.acknowledged - this.#lastAcknowledged)) / (nowMs - this.#lastMs);
    this.#lastAcknowledged = tally.acknowledged;
    this.#lastMs = nowMs;
    return [
      `${((nowMs - this.#startedMs) / 1000).toFixed(0).padStart(4)} s`,
      `${this.#fleet.onlineCount}/${tally.devices.length} devices online`,
      `sent ${tally.sent}`,
      `acknowledged ${tally.acknowledged} (${perSecond.toFixed(0)}/s)`,
      `resent ${tally.resent}`,
      `held ${this.#fleet.held}`,
      `dropped ${tally.dropped}`,
    ].join('  ');
  }
}
