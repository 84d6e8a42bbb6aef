import { describe, expect, test } from 'vitest';
import type { LaneLog, ParkNote, ParkReason } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';
import { append } from '../helpers/append.ts';

/** A log under test, and the same one after the process ended and began again. */
export interface LaneLogCase {
  readonly log: LaneLog;
  reopen(): Promise<LaneLog>;
}

/** A message of its own for each seq. */
export function numbered(seq: number): LaneMessage {
  return {
    gatewayId: 'gateway',
    epoch: 1,
    seq,
    routingKey: `key.${seq}`,
    topic: `topic/${seq}`,
    payload: Buffer.from(`payload ${seq}`),
    qos: 1,
    dup: false,
    retain: false,
    clientId: 'client',
    receivedAtMs: 1_000 + seq,
  };
}

/** A first refusal. */
export function refused(reason: ParkReason, atMs: number): ParkNote {
  return { reason, detail: 'refused', firstAttemptMs: atMs, lastAttemptMs: atMs, attempts: 1 };
}

async function readAll(log: LaneLog, from: number): Promise<{ offset: number; seq: number }[]> {
  const found: { offset: number; seq: number }[] = [];
  for (let offset = from; ; ) {
    const chunk = await log.read(offset, 3);
    for (const one of chunk.messages) found.push({ offset: one.offset, seq: one.message.seq });
    if (chunk.messages.length === 0) return found;
    offset = chunk.nextOffset;
  }
}

/** What every log must do; see the port for the words. */
export function describeLaneLog(name: string, open: () => Promise<LaneLogCase>): void {
  describe(`a lane log: ${name}`, () => {
    test('gives offsets 0, 1, 2 … in the order of the appends, also when they overlap', async () => {
      const { log } = await open();
      const appends = [1, 2, 3, 4].map((seq) => append(log, numbered(seq)));
      expect(await Promise.all(appends)).toEqual([0, 1, 2, 3]);
      expect(await append(log, numbered(5))).toBe(4);
      expect(log.endOffset).toBe(5);
    });

    test('reads from any offset, whole and in order, and notices what is appended behind a read', async () => {
      const { log } = await open();
      await Promise.all([1, 2, 3, 4, 5].map((seq) => append(log, numbered(seq))));
      expect((await readAll(log, 2)).map((one) => one.seq)).toEqual([3, 4, 5]);
      await append(log, numbered(6));
      const { messages } = await log.read(5, 3);
      expect(messages).toEqual([
        { offset: 5, message: { ...numbered(6), fromStore: true }, isReleased: false },
      ]);
      await log.endRead();
    });

    test('what is settled is not read, and not lost', async () => {
      const { log } = await open();
      await Promise.all([1, 2, 3].map((seq) => append(log, numbered(seq))));
      log.settle(2);
      const { messages, lost, nextOffset } = await log.read(0, 10);
      expect(messages.map(({ offset }) => offset)).toEqual([2]);
      expect({ lost, nextOffset }).toEqual({ lost: [], nextOffset: 3 });
      await log.endRead();
    });

    test('a message that is parked twice at once is parked once, with both attempts', async () => {
      const { log, reopen } = await open();
      const notes = [refused('unroutable', 1_000), refused('rejected', 2_000)];
      const isNew = await Promise.all(notes.map((note) => log.park(numbered(1), note)));
      expect(isNew).toEqual([true, false]);
      const again = await reopen();
      expect(await again.parked(10)).toMatchObject([
        { note: { reason: 'rejected', firstAttemptMs: 1_000, lastAttemptMs: 2_000, attempts: 2 } },
      ]);
    });

    test('an empty log reads as empty', async () => {
      const { log } = await open();
      expect(await log.read(0, 3)).toEqual({ messages: [], lost: [], nextOffset: 0 });
    });

    test('keeps what is not settled over a restart, and goes on counting', async () => {
      const { log, reopen } = await open();
      await Promise.all([1, 2, 3, 4].map((seq) => append(log, numbered(seq))));
      log.settle(2);
      const again = await reopen();
      expect(again.lowWaterMark).toBe(2);
      expect(await readAll(again, again.lowWaterMark)).toEqual([
        { offset: 2, seq: 3 },
        { offset: 3, seq: 4 },
      ]);
      expect(await append(again, numbered(5))).toBe(4);
    });

    test('records the mark when it is asked to, with what was settled until then', async () => {
      const { log } = await open();
      await Promise.all([1, 2, 3, 4].map((seq) => append(log, numbered(seq))));
      log.settle(2);
      expect(log.recordedMark).toBe(0);
      await log.record();
      expect(log.recordedMark).toBe(2);
      log.settle(4);
      const first = log.record();
      const second = log.record();
      await Promise.all([first, second]);
      expect(log.recordedMark).toBe(4);
    });

    test('goes on counting over a restart although all was settled', async () => {
      const { log, reopen } = await open();
      await Promise.all([1, 2].map((seq) => append(log, numbered(seq))));
      log.settle(2);
      const again = await reopen();
      expect(await append(again, numbered(3))).toBe(2);
    });

    test('a parked message stays apart until it is put back behind the others', async () => {
      const { log, reopen } = await open();
      await log.park(numbered(1), refused('unroutable', 1_000));
      await append(log, numbered(2));
      const again = await reopen();
      expect(await readAll(again, 0)).toEqual([{ offset: 0, seq: 2 }]);
      const { topic, payload, clientId } = numbered(1);
      const bytes = topic.length + payload.length + clientId.length;
      expect(await again.unpark(10)).toEqual({ messages: 1, bytes });
      expect(await again.unpark(10)).toEqual({ messages: 0, bytes: 0 });
      expect(await readAll(again, 0)).toEqual([
        { offset: 0, seq: 2 },
        { offset: 1, seq: 1 },
      ]);
      const { messages } = await again.read(0, 10);
      expect(messages.map(({ isReleased }) => isReleased)).toEqual([false, true]);
    });

    test('parked messages are listed oldest first, released by reason, discarded by identity', async () => {
      const { log } = await open();
      await log.park(numbered(1), refused('unroutable', 1_000));
      await log.park(numbered(2), refused('rejected', 2_000));
      await log.park(numbered(3), refused('unroutable', 3_000));
      const seqs = (await log.parked(2)).map(({ message }) => message.seq);
      expect(seqs).toEqual([1, 2]);
      expect(await log.parked(10, 'rejected')).toMatchObject([
        { message: { seq: 2 }, note: refused('rejected', 2_000) },
      ]);
      expect(await log.unpark(10, 'rejected')).toMatchObject({ messages: 1 });
      expect((await readAll(log, 0)).map(({ seq }) => seq)).toEqual([2]);
      const left = (await log.parked(10)).map(({ message }) => message);
      expect(left.map(({ seq }) => seq)).toEqual([1, 3]);
      expect(await log.discardParked([...left, numbered(2)])).toBe(2);
      expect(await log.parked(10)).toEqual([]);
    });

    test('a message that is parked again keeps its first attempt, also after its release and a restart', async () => {
      const { log, reopen } = await open();
      expect(await log.park(numbered(1), refused('unroutable', 1_000))).toBe(true);
      expect(await log.park(numbered(1), refused('unroutable', 2_000))).toBe(false);
      await log.unpark(1);
      const again = await reopen();
      await again.park(numbered(1), refused('rejected', 3_000));
      expect((await again.parked(10)).map(({ note }) => note)).toEqual([
        { ...refused('rejected', 1_000), lastAttemptMs: 3_000, attempts: 3 },
      ]);
    });

    test('a message that may have been delivered when it was parked is so for ever', async () => {
      const { log, reopen } = await open();
      await log.park(numbered(1), { ...refused('unroutable', 1_000), uncertain: true });
      await log.park(numbered(2), refused('unroutable', 1_000));
      await log.unpark(2);
      const again = await reopen();
      for (const n of [1, 2]) await again.park(numbered(n), refused('rejected', 2_000));
      expect((await again.parked(10)).map(({ note }) => note.uncertain)).toEqual([true, undefined]);
    });
  });
}
