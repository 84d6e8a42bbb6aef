import { expect, onTestFinished, test, vi } from 'vitest';
import { ClockWorld } from '../../test/helpers/clock-world.ts';

const DAY_MS = 86_400_000;

async function world(given: Partial<ClockWorld> = {}): Promise<ClockWorld> {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
  onTestFinished(() => void vi.useRealTimers());
  const made = Object.assign(new ClockWorld(), given);
  await made.start();
  onTestFinished(() => made.clock.stop());
  return made;
}

/** What was asked of the system, in ms since the first of the questions that the array still has. */
function counted(made: ClockWorld): number[] {
  return made.askedMs.map((ms) => ms - (made.askedMs[0] ?? 0));
}

test('time goes on over a restart, with all that passed in between', async () => {
  const made = await world();
  await made.advance(10_000);
  const message = made.message();
  await made.stop();
  await made.advance(60_000);
  made.wallErrorMs = -30 * DAY_MS;
  made.isSynced = false;
  await made.start();
  expect(made.clock.ageMs(message.stamp)).toBe(60_000);
  expect(made.clock.quality).toBe('unsynced');
});

test('time off counts once the clock is confirmed', async () => {
  const made = await world();
  const message = made.message();
  await made.stop();
  made.boot(2 * DAY_MS, 100 * DAY_MS);
  made.isSynced = false;
  await made.start();
  await made.advance(5_000);
  expect(made.clock.ageMs(message.stamp)).toBe(5_000);
  made.isSynced = true;
  await made.advance(20_000);
  expect(made.clock.ageMs(message.stamp)).toBe(2 * DAY_MS + 25_000);
  expect(made.clock.quality).toBe('synced');
});

test('a wrong clock that is set right is told', async () => {
  const made = await world({ wallErrorMs: -30 * DAY_MS, isSynced: false });
  made.wallErrorMs = 0;
  made.isSynced = true;
  await made.advance(1_000);
  expect(made.events).toEqual([`set by ${30 * DAY_MS}`, 'corrected']);
  expect(made.clock.steps).toBe(1);
});

test('the system is asked less and less often as long as it confirms nothing, and anew after each step', async () => {
  const made = await world({ isSynced: false });
  await made.advance(15_000);
  expect(counted(made)).toEqual([0, 2_000, 6_000, 14_000]);
  await made.advance(2 * 3_600_000);
  expect(made.askedMs.length).toBeLessThan(40);
  made.askedMs.length = 0;
  made.wallErrorMs = DAY_MS;
  await made.advance(4_000);
  expect(counted(made)).toEqual([0, 2_000]);
});

test('a system that cannot tell is asked every five minutes only', async () => {
  const made = await world({ isSynced: undefined });
  await made.advance(299_000);
  expect(counted(made)).toEqual([0]);
  await made.advance(10_000);
  expect(made.askedMs).toHaveLength(2);
});

test('an answer that took a step of the clock to come is asked for again', async () => {
  const made = await world({ isSynced: false });
  let answer: ((isSynced: boolean) => void) | undefined;
  made.answer = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  await made.advance(3_000);
  made.wallErrorMs = DAY_MS;
  made.answer = undefined;
  answer?.(true);
  await made.advance(0);
  expect(made.clock.quality).toBe('unsynced');
  made.wallErrorMs = 0;
  made.isSynced = true;
  await made.advance(1_000);
  expect(made.clock.quality).toBe('synced');
});

test('it is noted often at first while something is stored, then every ten minutes', async () => {
  const made = await world();
  await made.advance(60_000);
  expect(made.notes).toBeLessThanOrEqual(5);
  await made.advance(3_600_000);
  const before = made.notes;
  await made.advance(3_600_000);
  expect(made.notes - before).toBe(6);
});

test('while nothing is stored the store is left alone, but for a note a day', async () => {
  const made = await world({ hasBacklog: false });
  await made.advance(3_600_000);
  expect(made.notes).toBe(2); // at the start, and with the true time
  made.hasBacklog = true; // the next power cut must not take the hour
  await made.advance(1_000);
  expect(made.notes).toBe(3);
});

test('a note that could not be written is tried again', async () => {
  const made = await world({ isDiskFailing: true });
  await made.advance(5_000);
  expect(made.notes).toBe(0);
  made.isDiskFailing = false;
  await made.advance(1_000);
  expect(made.notes).toBe(1);
});

test('a stop does not wait for a disk that does not answer', async () => {
  const made = await world();
  made.isDiskHanging = true;
  const stopped = vi.fn();
  void made.clock.stop().then(stopped);
  await made.advance(1_000);
  expect(stopped).toHaveBeenCalled();
});

test('until it is open it gives nothing an age', () => {
  expect(new ClockWorld().clock.ageMs({ epoch: 1, elapsedMs: 0 })).toBe(0);
});
