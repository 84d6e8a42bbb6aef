import { type ChildProcess, fork } from 'node:child_process';
import { access, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import { reportResult, SEED, scale } from '../helpers/soak.ts';
import { buildStore, damage, randomOf } from './damage-site.ts';
import type { Answer, Outcome, Trial } from './damage-trial.ts';

const DAMAGES = scale('damages', { short: 60, long: 2_000 });
const MS_A_DAMAGE = 1_500;
const TRIAL = fileURLToPath(new URL('damage-trial.ts', import.meta.url));
/** Each damage has a random sequence of its own, so that one can be repeated alone. */
const SEED_STEP = 7_919;
/** A service manager starts a process again that ended; whatever ended it must not do so for ever. */
const MOST_STARTS = 3;

/** In memory: syncing thousands of small files takes most of the time, and plays no part here. */
async function memoryFolder(): Promise<string> {
  const parent = await access('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  );
  const folder = await mkdtemp(join(parent, 'tidegate-damage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A process that opens one store after the other, started again when LevelDB has ended it. */
class Trials {
  readonly #truthFile: string;
  #child: ChildProcess | undefined;
  /** How often LevelDB ended the process. */
  aborts = 0;

  constructor(truthFile: string) {
    this.#truthFile = truthFile;
  }

  /** @throws {Error} with what did not hold. */
  async run(trial: Omit<Trial, 'told'>): Promise<Outcome> {
    const told: StoreFinding[] = [];
    for (let start = 1; start <= MOST_STARTS; start += 1) {
      const outcome = await this.#runOnce({ ...trial, told });
      if (outcome !== undefined) return outcome;
      this.aborts += 1;
      this.#child = undefined;
    }
    throw new Error(`the process was ended at each of ${MOST_STARTS} starts`);
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Undefined when the process has ended. */
  #runOnce(trial: Trial & { told: StoreFinding[] }): Promise<Outcome | undefined> {
    this.#child ??= fork(TRIAL, [this.#truthFile], {
      execArgv: ['--import', 'tsx'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const onExit = (): void => resolve(undefined);
      child.once('exit', onExit);
      const onMessage = (answer: Answer): void => {
        if ('finding' in answer) {
          trial.told.push(answer.finding);
          return;
        }
        child.off('exit', onExit);
        child.off('message', onMessage);
        if ('outcome' in answer) resolve(answer.outcome);
        else reject(new Error(answer.failure));
      };
      child.on('message', onMessage);
      child.send(trial);
    });
  }
}

interface Sum {
  repaired: number;
  quarantined: number;
  lossy: number;
  lost: number;
  aborts: number;
  readonly failures: string[];
}

/** Takes numbers from `next` until there are none, damages a copy of the store for each and has it opened. */
async function tryDamages(folder: string, next: () => number | undefined, sum: Sum): Promise<void> {
  const trials = new Trials(join(folder, 'truth'));
  onTestFinished(() => trials.stop());
  for (let nth = next(); nth !== undefined; nth = next()) {
    const path = join(folder, `damaged-${nth}`);
    await cp(join(folder, 'whole'), path, { recursive: true });
    const { file, text } = await damage(path, randomOf(SEED + nth * SEED_STEP));
    const found = await readFile(join(path, file)).catch(() => undefined);
    try {
      const outcome = await trials.run({ path, file, found });
      sum.repaired += outcome.repaired ? 1 : 0;
      sum.quarantined += outcome.quarantined ? 1 : 0;
      sum.lossy += outcome.lost > 0 ? 1 : 0;
      sum.lost += outcome.lost;
    } catch (error) {
      sum.failures.push(`${nth}, ${text}: ${error instanceof Error ? error.message : error}`);
    }
    await rm(path, { recursive: true, force: true });
  }
  sum.aborts += trials.aborts;
}

test(
  'whatever file is damaged, the store starts, delivers nothing wrong and counts exactly what is gone',
  async () => {
    const folder = await memoryFolder();
    const truth = await buildStore(join(folder, 'work'), join(folder, 'whole'));
    await writeFile(join(folder, 'truth'), serialize(truth));
    const sum: Sum = { repaired: 0, quarantined: 0, lossy: 0, lost: 0, aborts: 0, failures: [] };
    let last = 0;
    const next = (): number | undefined => (last < DAMAGES ? ++last : undefined);
    await Promise.all([tryDamages(folder, next, sum), tryDamages(folder, next, sum)]);
    const extras = {
      'stores repaired': sum.repaired,
      'files put into quarantine': sum.quarantined,
      'processes that LevelDB ended, and started again': sum.aborts,
      'stores that lost something': sum.lossy,
      'messages gone, each counted and named': sum.lost,
    };
    reportResult({
      scenario: 'store-damage',
      title: 'A file of the store is damaged at random while the gateway does not run',
      rows: [{ name: `${DAMAGES} damages`, verdict: {}, failures: sum.failures, extras }],
    });
    expect(sum.failures).toEqual([]);
  },
  60_000 + DAMAGES * MS_A_DAMAGE,
);
