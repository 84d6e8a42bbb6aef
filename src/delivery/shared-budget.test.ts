import { expect, onTestFinished, test, vi } from 'vitest';
import { SharedBudget } from './shared-budget.ts';

/** A user of a budget of 100 that wants messages of some size, one after the other. */
class User {
  readonly share: ReturnType<SharedBudget['share']>;
  readonly #name: string;
  readonly #served: string[];
  #wanted: number[] = [];
  isIdle = false;

  constructor(budget: SharedBudget, name: string, served: string[]) {
    this.#name = name;
    this.#served = served;
    this.share = budget.share({
      onRoom: () => this.#take(),
      giveUp: () => {
        if (this.isIdle) this.share.give(Number.POSITIVE_INFINITY);
      },
    });
  }

  want(...sizes: number[]): void {
    this.#wanted.push(...sizes);
    this.#take();
  }

  #take(): void {
    for (let size = this.#wanted[0]; size !== undefined; size = this.#wanted[0]) {
      if (!this.share.take(size)) return;
      this.#wanted.shift();
      this.#served.push(`${this.#name}${size}`);
    }
  }
}

function users(count: number): { all: User[]; served: string[]; budget: SharedBudget } {
  const served: string[] = [];
  const budget = new SharedBudget(100);
  const all = Array.from({ length: count }, (_, n) => new User(budget, 'abc'[n] ?? '?', served));
  return { all, served, budget };
}

function pick(all: readonly User[], index: number): User {
  const user = all[index];
  if (user === undefined) throw new Error(`no user ${index}`);
  return user;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('who waits is served in order, one message each in turn', async () => {
  const { all, served } = users(3);
  const [a, b, c] = [pick(all, 0), pick(all, 1), pick(all, 2)];
  a.want(100);
  b.want(20, 20, 20);
  c.want(20, 20);
  a.share.give(100);
  await turn();
  expect(served).toEqual(['a100', 'b20', 'c20', 'b20', 'c20', 'b20']);
});

test('what is large is not passed by what is small behind it, and fits when nothing else is there', async () => {
  const { all, served } = users(3);
  const [a, b, c] = [pick(all, 0), pick(all, 1), pick(all, 2)];
  a.want(50, 50);
  b.want(1_000);
  c.want(10);
  a.share.give(50);
  await turn();
  expect(served).toEqual(['a50', 'a50']);
  a.share.give(50);
  await turn();
  expect(served).toEqual(['a50', 'a50', 'b1000']);
  b.share.give(1_000);
  await turn();
  expect(served).toEqual(['a50', 'a50', 'b1000', 'c10']);
});

test('nothing is taken past those that wait', () => {
  const { all, budget } = users(2);
  const [a, b] = [pick(all, 0), pick(all, 1)];
  a.want(60);
  b.want(60);
  expect(a.share.takeIfFree(10)).toBe(false);
  a.want(10);
  expect(budget.usedBytes).toBe(60);
});

test('a share that ends gives back what it has and leaves the line', async () => {
  const { all, served, budget } = users(3);
  const [a, b, c] = [pick(all, 0), pick(all, 1), pick(all, 2)];
  a.want(100);
  b.want(100);
  c.want(100);
  b.share.close();
  a.share.close();
  await turn();
  expect(served).toEqual(['a100', 'c100']);
  c.share.close();
  expect(budget.usedBytes).toBe(0);
  c.share.force(1);
  expect(budget.usedBytes).toBe(0);
});

test('a share is told when a bound that was exceeded by force is not spent any more', async () => {
  const budget = new SharedBudget(100);
  let told = 0;
  const waiting = budget.share({ onRoom: () => (told += 1) });
  const other = budget.share({ onRoom: () => undefined });
  other.force(150);
  expect(waiting.isSpent()).toBe(true);
  other.give(40);
  await turn();
  expect(told).toBe(0);
  other.give(20);
  await turn();
  expect(told).toBe(1);
  expect(waiting.isSpent()).toBe(false);
});

test('who has what it cannot use gives it up for those that wait', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { all, served } = users(2);
  const [a, b] = [pick(all, 0), pick(all, 1)];
  a.want(100);
  b.want(100);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(served).toEqual(['a100']);
  a.isIdle = true; // no event tells of that
  await vi.advanceTimersByTimeAsync(1_000);
  expect(served).toEqual(['a100', 'b100']);
});
