import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { PowerCutDisk } from '../helpers/power-cut-disk.ts';
import type { PubackEvidence } from '../helpers/power-cut-evidence.ts';
import { markersIn, numberOf } from '../helpers/power-cut-marker.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { LANE } from '../helpers/site.ts';
import { failuresOf, reportResult, SEED, scale } from '../helpers/soak.ts';
import type { SystemCall } from '../helpers/strace-log.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type Recording, record } from './power-cut-recording.ts';

const CUTS = scale('power-cuts', { short: 20, long: 200 });
/** The first start makes few calls. */
const FIRST_START_CUTS = scale('first-start-cuts', { short: 5, long: 30 });
const MODES = ['adaptive', 'disk-first'] as const;
/** Enough for LevelDB to make tables while it runs, which it does every 4 MiB. */
const MESSAGES = 1_500;
const READ_AT_ONCE = 500;
const LIMIT_MS = 15 * 60_000;
/** The checkpoint is never synced, so a cut may take it; and a repair that loses nothing is as good as none. */
const HARMLESS_FINDINGS: readonly string[] = ['tail-unverified', 'repaired'];
const SHOWN = 3;
const LYING_STORE = fileURLToPath(new URL('lying-store.mjs', import.meta.url));

test.for(MODES)(
  'no PUBACK leaves before its message is safe, and no power cut loses one that has left: %s',
  { timeout: LIMIT_MS },
  async (mode) => {
    const recording = await record({ amqpUrl: sharedAmqpUrl(), mode, messages: MESSAGES });
    const early = recording.evidence.filter(isEarly);
    const cutter = new PowerCutter(recording, new Random(SEED));
    const count = Math.ceil(CUTS / MODES.length);
    for (let cut = 0; cut < count; cut++) await cutter.cut();
    for (let cut = 0; cut < FIRST_START_CUTS; cut++) await cutter.cutFirstStart();
    const verdict = recording.ledger.verdict();
    const failures = [
      ...early.map((puback) => `early PUBACK: ${JSON.stringify(puback)}`),
      ...cutter.failures,
      ...failuresOf(verdict),
    ];
    const byConfirm = recording.evidence.filter(
      ({ confirmedLine, pubackLine }) => confirmedLine < pubackLine,
    ).length;
    reportResult({
      scenario: 'power-cut',
      title: 'Power cuts at random system calls, and the order of write, sync, confirm and PUBACK',
      rows: [
        {
          name: `${count} cuts, ${FIRST_START_CUTS} in the first start, ${mode}`,
          verdict,
          failures: failures.slice(0, SHOWN),
          extras: {
            pubacksChecked: recording.evidence.length,
            pubacksAfterConfirm: byConfirm,
            pubacksBeforeSafe: early.length,
            acknowledgedBeforeCuts: cutter.acknowledged,
            lostInCuts: cutter.lost,
            storesNotOpened: cutter.unopened,
          },
        },
      ],
    });
    expect(failures).toEqual([]);
    expect(recording.evidence.length).toBe(verdict.acknowledged);
  },
);

test('a gateway that acknowledged before it wrote would be found out by both', {
  timeout: LIMIT_MS,
}, async () => {
  const recording = await record({
    amqpUrl: sharedAmqpUrl(),
    mode: 'disk-first',
    messages: 100,
    execArgv: ['--import', LYING_STORE],
  });
  expect(recording.evidence.filter(isEarly).length).toBeGreaterThan(0);
  const cutter = new PowerCutter(recording, new Random(SEED));
  for (let cut = 0; cut < 10; cut++) await cutter.cut();
  expect(cutter.lost).toBeGreaterThan(0);
});

function isEarly({ syncedLine, confirmedLine, pubackLine }: PubackEvidence): boolean {
  return syncedLine >= pubackLine && confirmedLine >= pubackLine;
}

/** Cuts the power of what was recorded, again and again, and looks at what is left. */
class PowerCutter {
  readonly #recording: Recording;
  readonly #random: Random;
  readonly #storeCalls: readonly SystemCall[];
  /**
   * Lines at which to cut: at any call, at what is not a write, right behind a PUBACK, and before the first PUBLISH:
   * a store that was never used holds nothing that could be lost, but must open.
   */
  readonly #lines: readonly (readonly number[])[];
  readonly #firstStart: readonly number[];
  readonly failures: string[] = [];
  acknowledged = 0;
  lost = 0;
  unopened = 0;

  constructor(recording: Recording, random: Random) {
    this.#recording = recording;
    this.#random = random;
    this.#storeCalls = recording.calls.filter((call) =>
      PowerCutDisk.concerns(recording.storeDir, call),
    );
    const rare = this.#storeCalls.filter(({ name }) => name !== 'write');
    const firstLine = Math.min(...recording.evidence.map(({ arrivedLine }) => arrivedLine));
    this.#lines = [
      this.#storeCalls.map(({ startLine }) => startLine + 1),
      rare.flatMap(({ startLine, endLine }) => [startLine, startLine + 1, endLine + 1]),
      recording.evidence.map(({ pubackLine }) => pubackLine + 1),
    ].map((lines) => lines.filter((line) => line > firstLine));
    this.#firstStart = this.#storeCalls
      .map(({ startLine }) => startLine + 1)
      .filter((line) => line <= firstLine);
  }

  async cut(): Promise<void> {
    await this.#cutAt(this.#pick(this.#pick(this.#lines)));
  }

  /** Cuts in the first start, before the first PUBLISH: all is there that is needed to start again. */
  async cutFirstStart(): Promise<void> {
    await this.#cutAt(this.#pick(this.#firstStart));
  }

  async #cutAt(cutLine: number): Promise<void> {
    const into = await tempDir('cut');
    const { storeDir } = this.#recording;
    const calls = this.#storeCalls;
    await PowerCutDisk.build({ root: storeDir, calls, cutLine, random: this.#random, into });
    const safe = this.#recording.evidence.filter(({ pubackLine }) => pubackLine < cutLine);
    this.acknowledged += safe.length;
    try {
      const kept = await readStore(into);
      this.#judge(cutLine, safe, kept);
    } catch (error) {
      this.unopened += 1;
      this.failures.push(`cut at line ${cutLine}: ${error}`);
    }
    await rm(into, { recursive: true });
  }

  #judge(cutLine: number, safe: readonly PubackEvidence[], kept: KeptMessages): void {
    const lost = safe.filter(
      ({ marker, confirmedLine }) => !kept.markers.has(marker) && confirmedLine >= cutLine,
    );
    this.lost += lost.length;
    if (lost.length > 0) {
      this.failures.push(
        `cut at line ${cutLine}: ${lost.length} lost, first ${JSON.stringify(lost[0])}`,
      );
    }
    for (const fault of kept.faults) this.failures.push(`cut at line ${cutLine}: ${fault}`);
  }

  #pick<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.#random.between(0, choices.length))];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}

interface KeptMessages {
  readonly markers: ReadonlySet<string>;
  /** Records said to be damaged, and messages out of their device's order. */
  readonly faults: readonly string[];
}

/** Opens the store of a gateway that starts after the cut and reads all that it would deliver. */
async function readStore(path: string): Promise<KeptMessages> {
  const faults: string[] = [];
  const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
  const events = {
    onFinding: (finding: { readonly kind: string }) => {
      if (!HARMLESS_FINDINGS.includes(finding.kind))
        faults.push(`finding: ${JSON.stringify(finding)}`);
    },
    onTrouble: (error: unknown) => faults.push(`trouble: ${error}`),
    onRecovered: () => undefined,
  };
  const store = new LevelStore({ path, ...limits }, events);
  await store.open();
  const markers = new Set<string>();
  const newest = new Map<string, number>();
  try {
    const log = await store.lane(LANE);
    for (let offset = log.lowWaterMark; offset < log.endOffset; ) {
      const chunk = await log.read(offset, READ_AT_ONCE);
      for (const lost of chunk.lost) faults.push(`lost records: ${JSON.stringify(lost)}`);
      for (const { message } of chunk.messages) {
        const [marker = '', second] = markersIn(message.payload.toString('latin1'));
        if (marker !== second) faults.push(`a payload is not what was sent: ${marker} ${second}`);
        const before = newest.get(message.clientId) ?? 0;
        if (numberOf(marker) < before) faults.push(`reordered: ${marker} behind ${before}`);
        newest.set(message.clientId, numberOf(marker));
        markers.add(marker);
      }
      offset = chunk.nextOffset;
    }
  } finally {
    await store.close();
  }
  return { markers, faults };
}
