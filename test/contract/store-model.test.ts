import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import type { LaneLog, ParkNote } from '../../src/delivery/ports.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import type { WritingHandle } from '../../src/store/writer/handle.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { numbered } from './lane-log-contract.ts';

const LANE = 'lane';
const RUNS = Number(process.env['TIDEGATE_SOAK_MODEL_RUNS'] ?? 12);
const PATIENCE_MS = 20_000;
const NOTE: ParkNote = {
  reason: 'unroutable',
  detail: 'NO_ROUTE',
  firstAttemptMs: 1,
  lastAttemptMs: 1,
  attempts: 1,
};

const disk = vi.hoisted(() => ({ failures: 0 }));

/** The real database, whose next batches fail as often as the test says. */
vi.mock('../../src/store/writer/handle.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/store/writer/handle.ts')>();
  return {
    ...original,
    createHandle: (location: string): WritingHandle => {
      const db = original.createHandle(location);
      const makeBatch = db.batch.bind(db);
      const failing = (...args: Parameters<typeof makeBatch>): ReturnType<typeof makeBatch> => {
        const batch = makeBatch(...args);
        if (args.length > 0 || disk.failures === 0) return batch;
        disk.failures -= 1;
        batch.write = () => batch.close().then(() => Promise.reject(new Error('the disk fails')));
        return batch;
      };
      return Object.assign(db, { batch: failing });
    },
  };
});

afterEach(() => {
  disk.failures = 0;
});

type Step =
  | { readonly kind: 'append' | 'settle' | 'park' | 'unpark' | 'fail'; readonly amount: number }
  | { readonly kind: 'read' | 'crash' | 'close' };

/** What must be true, in the simplest words there are. Messages are known by their seq. */
class Model {
  /** Seq by offset. */
  readonly log: number[] = [];
  readonly parked = new Set<number>();
  readonly settled = new Set<number>();
  mark = 0;
  nextSeq = 1;

  settle(mark: number): void {
    for (let offset = this.mark; offset < mark; offset += 1) {
      const seq = this.log[offset];
      if (seq !== undefined && !this.parked.has(seq)) this.settled.add(seq);
    }
    this.mark = mark;
  }

  get oldestParked(): number[] {
    return [...this.parked].sort((a, b) => a - b);
  }
}

/** The store under test beside its model. */
class Pair {
  readonly model = new Model();
  #path: string;
  #store: LevelStore | undefined;
  #log: LaneLog | undefined;
  #crashes = 0;
  #lastEpoch = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get log(): LaneLog {
    if (this.#log === undefined) throw new Error('not open');
    return this.#log;
  }

  async open(): Promise<void> {
    disk.failures = 0; // a disk that fails at the start is another matter: the process says so and ends
    const nothing = (): void => undefined;
    const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
    const path = join(this.#path, String(this.#crashes));
    const store = new LevelStore(
      { path, ...limits },
      {
        onTrouble: nothing,
        onRecovered: nothing,
        onFinding: (finding) => {
          throw new Error(`nothing was damaged: ${JSON.stringify(finding)}`);
        },
      },
    );
    await store.open();
    expect(store.epoch).toBeGreaterThan(this.#lastEpoch);
    this.#lastEpoch = store.epoch;
    this.#store = store;
    this.#log = await store.lane(LANE);
  }

  async close(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  /** Goes on with the files as a SIGKILL leaves them at this moment. */
  async crash(): Promise<void> {
    const running = join(this.#path, String(this.#crashes));
    this.#crashes += 1;
    await copyAsKilled(running, join(this.#path, String(this.#crashes)));
    await this.close();
    await this.open();
  }

  async take(step: Step): Promise<void> {
    const { model, log } = this;
    switch (step.kind) {
      case 'append': {
        const seqs = Array.from({ length: step.amount }, () => model.nextSeq++);
        const offsets = await Promise.all(seqs.map((seq) => append(log, numbered(seq))));
        for (const [nth, offset] of offsets.entries()) {
          expect(offset, 'each offset once and in order').toBe(model.log.length);
          model.log.push(seqs[nth] ?? 0);
        }
        break;
      }
      case 'settle': {
        const mark = Math.min(model.log.length, model.mark + step.amount);
        log.settle(mark);
        model.settle(mark);
        break;
      }
      case 'park':
        await this.#park(step.amount);
        break;
      case 'unpark': {
        const moved = model.oldestParked.slice(0, step.amount);
        expect(await log.unpark(step.amount)).toMatchObject({ messages: moved.length });
        for (const seq of moved) model.parked.delete(seq);
        model.log.push(...moved);
        break;
      }
      case 'fail':
        disk.failures = 1 + (step.amount % 3);
        break;
      case 'read':
        await this.check();
        break;
      case 'crash':
        await this.crash();
        break;
      case 'close':
        await this.close();
        await this.open();
        break;
    }
  }

  /** Parks what stands first, as a lane does: apart first, settled then. */
  async #park(amount: number): Promise<void> {
    const { model, log } = this;
    const count = Math.min(amount, model.log.length - model.mark);
    const seqs = model.log.slice(model.mark, model.mark + count);
    await Promise.all(seqs.map((seq) => log.park(numbered(seq), NOTE)));
    for (const seq of seqs) model.parked.add(seq);
    log.settle(model.mark + count);
    model.settle(model.mark + count);
  }

  /** All that was acknowledged is readable, parked or settled; in order; and nothing else is there. */
  async check(): Promise<void> {
    const { model, log } = this;
    expect(log.endOffset).toBe(model.log.length);
    expect(log.lowWaterMark).toBeLessThanOrEqual(model.mark);
    const seqs: number[] = [];
    for (let offset = log.lowWaterMark; offset < log.endOffset; ) {
      const chunk = await eventually(() => log.read(offset, 7), { withinMs: PATIENCE_MS });
      expect(chunk.lost).toEqual([]);
      seqs.push(...chunk.messages.map(({ message }) => message.seq));
      offset = chunk.nextOffset;
    }
    await log.endRead();
    expect(seqs).toEqual(model.log.slice(log.lowWaterMark));
    const parked = await eventually(() => log.parked(10_000), { withinMs: PATIENCE_MS });
    expect(parked.map(({ message }) => message.seq)).toEqual(model.oldestParked);
    const accounted = new Set([...seqs, ...model.parked, ...model.settled]);
    for (let seq = 1; seq < model.nextSeq; seq += 1) expect(accounted.has(seq)).toBe(true);
  }
}

const amounts = fc.integer({ min: 1, max: 20 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), amount: amounts }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom('settle' as const, 'park' as const, 'unpark' as const),
        amount: amounts,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), amount: amounts }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('read' as const, 'crash' as const, 'close' as const),
      }),
    },
  ),
  { minLength: 5, maxLength: 25, size: 'max' },
);

test(
  'whatever fails and whenever it crashes, what was acknowledged is readable, parked or settled, in order',
  async () => {
    const folder = await tempDir('model');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        run += 1;
        disk.failures = 0;
        const pair = new Pair(join(folder, String(run)));
        await pair.open();
        try {
          for (const step of all) await pair.take(step);
          disk.failures = 0;
          await pair.check();
          await pair.crash();
          await pair.check();
        } finally {
          await pair.close();
        }
      }),
      { numRuns: RUNS },
    );
  },
  60_000 + RUNS * 2_000,
);
