import type { Phase } from './phases.ts';
import type { Stage } from './stage.ts';

/** On a terminal one line is redrawn; elsewhere lines are added, so fewer of them. */
const TERMINAL_EVERY_MS = 500;
const PLAIN_EVERY_MS = 2_000;
/** A bar takes what the figures leave of a terminal's width, within limits. */
const FIGURES_COLUMNS = 73;
const DEFAULT_COLUMNS = 100;
const BAR_CELLS = { min: 5, max: 20 };

/** Shows the phases, and in each how the messages flow. */
export class View {
  readonly #stream: NodeJS.WriteStream;
  readonly #startedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #phaseStartedMs = 0;
  #last: { atMs: number; acknowledged: number; delivered: number } | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Prints a line that stays. */
  say(line: string): void {
    this.#stream.write(`${this.#stream.isTTY ? '\r\x1b[2K' : ''}${line}\n`);
  }

  /** Begins to show a phase. */
  begin(phase: Phase, number: string, stage: Stage): void {
    this.say(`\n${number} ${phase.title}`);
    this.#phaseStartedMs = performance.now();
    const everyMs = this.#stream.isTTY ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS;
    this.#timer = setInterval(() => this.#show(phase, stage), everyMs);
  }

  /** Ends it with a last line, unless one has just been added. */
  end(phase: Phase, stage: Stage): void {
    clearInterval(this.#timer);
    const sinceLineMs = performance.now() - (this.#last?.atMs ?? 0);
    if (this.#stream.isTTY || sinceLineMs > PLAIN_EVERY_MS / 2) this.#show(phase, stage);
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  /** Ends it without a last line. */
  abandon(): void {
    clearInterval(this.#timer);
  }

  #show(phase: Phase, stage: Stage): void {
    const nowMs = performance.now();
    const progress = phase.progress(stage, nowMs - this.#phaseStartedMs);
    const columns = this.#stream.columns || DEFAULT_COLUMNS; // some terminals say 0
    const meter = bar(progress, columns - FIGURES_COLUMNS);
    const line = `${seconds(nowMs - this.#startedMs)} ${meter} ${this.#flow(stage, nowMs)}`;
    if (!this.#stream.isTTY) this.#stream.write(`${line}\n`);
    else this.#stream.write(`\r\x1b[2K${line.slice(0, columns - 1)}`);
  }

  #flow({ ledger, parts }: Stage, nowMs: number): string {
    const { acknowledged, delivered } = ledger.verdict();
    const last = this.#last ?? { atMs: this.#phaseStartedMs, acknowledged: 0, delivered: 0 };
    this.#last = { atMs: nowMs, acknowledged, delivered };
    const rate = (count: number) =>
      `${Math.round((1000 * count) / Math.max(1, nowMs - last.atMs))}/s`.padStart(6);
    const { latest } = parts.meter;
    return [
      `acknowledged ${pad(acknowledged)} ${rate(acknowledged - last.acknowledged)}`,
      `delivered ${pad(delivered)} ${rate(delivered - last.delivered)}`,
      `backlog ${latest === undefined ? '    –' : pad(latest)}`,
    ].join('  ');
  }
}

/** `[#####-----]` for 0.5 in 10 cells; at least 5 and at most 20 of them. */
function bar(progress: number, cells: number): string {
  const all = Math.min(BAR_CELLS.max, Math.max(BAR_CELLS.min, cells));
  const full = Math.floor(Math.min(1, Math.max(0, progress)) * all);
  return `[${'#'.repeat(full)}${'-'.repeat(all - full)}]`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0).padStart(3)} s`;
}

function pad(count: number): string {
  return String(count).padStart(5);
}
