import { describe, expect, onTestFinished, test } from 'vitest';
import type { Publisher } from '../../src/delivery/ports.ts';
import { laneMessage, PublisherRecorder } from '../helpers/publisher-recorder.ts';

/** One publisher and the hand of the test on its broker. */
export interface PublisherHarness {
  readonly publisher: Publisher;
  /** Lets the publisher open; a real one does so by itself. */
  letOpen(): void;
  /**
   * Lets the broker answer all in flight, by routing key: `routed` is confirmed, `unrouted` returned (312),
   * `refused` nacked. A real one does so by itself.
   */
  letAnswer(): void;
  /** Makes the broker close the lane's channel, and nothing else. */
  loseChannel(): Promise<void>;
}

type Factory = () => Promise<PublisherHarness>;

/** What every `Publisher` keeps to. Runs against the real one and against the fake of the lane's tests. */
export function describePublisher(name: string, factory: Factory): void {
  describe(`${name}, a publisher`, () => {
    describeOutcomes(factory);
    describeLosses(factory);
    describeStop(factory);
  });
}

async function opened(
  factory: Factory,
): Promise<PublisherHarness & { recorder: PublisherRecorder }> {
  const harness = await factory();
  const recorder = new PublisherRecorder();
  onTestFinished(() => harness.publisher.stop());
  harness.publisher.start(recorder);
  harness.letOpen();
  await recorder.told('open');
  return { ...harness, recorder };
}

function describeOutcomes(factory: Factory): void {
  test('tells of a routed message that it is confirmed', async () => {
    const { publisher, recorder, letAnswer } = await opened(factory);
    recorder.publish(publisher, laneMessage(1, 'routed'));
    letAnswer();
    expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
  });

  test('tells of a message for which no queue is bound that it is returned, never confirmed', async () => {
    const { publisher, recorder, letAnswer } = await opened(factory);
    recorder.publish(publisher, laneMessage(1, 'unrouted'));
    letAnswer();
    expect(await recorder.answered(1)).toEqual({
      kind: 'returned',
      replyCode: 312,
      replyText: 'NO_ROUTE',
    });
  });

  test('tells of a message that the queue refuses that it is nacked', async () => {
    const { publisher, recorder, letAnswer } = await opened(factory);
    recorder.publish(publisher, laneMessage(1, 'refused'));
    letAnswer();
    expect(await recorder.answered(1)).toEqual({ kind: 'nacked' });
  });

  test('gives each of many messages its own outcome, once, and stays open', async () => {
    const { publisher, recorder, letAnswer } = await opened(factory);
    const keys = ['routed', 'unrouted', 'refused'] as const;
    for (let seq = 0; seq < 300; seq++) {
      recorder.publish(publisher, laneMessage(seq, keys[seq % 3] ?? 'routed'));
    }
    letAnswer();
    for (let seq = 0; seq < 300; seq++) await recorder.answered(seq);
    const kinds = Array.from({ length: 300 }, (_, seq) => recorder.outcome(seq)?.kind);
    const expected = ['confirmed', 'returned', 'nacked'] as const;
    expect(kinds).toEqual(Array.from({ length: 300 }, (_, seq) => expected[seq % 3]));
    expect(recorder.events).toEqual(['open']);
  });

  test('never answers from inside publish', async () => {
    const { publisher, recorder, letAnswer } = await opened(factory);
    recorder.publish(publisher, laneMessage(1, 'routed'));
    expect(recorder.outcome(1)).toBeUndefined();
    letAnswer();
    await recorder.answered(1);
  });
}

function describeLosses(factory: Factory): void {
  for (const scope of ['channel', 'connection'] as const) {
    test(`recycle of the ${scope} closes once, ends all outcomes, and opens again`, async () => {
      const { publisher, recorder, letOpen, letAnswer } = await opened(factory);
      recorder.publish(publisher, laneMessage(1, 'routed'));
      publisher.recycle(scope, 'no progress');
      letOpen();
      await recorder.told('open', 'closed', 'open');
      expect(recorder.closed).toEqual([{ scope, text: 'no progress' }]);
      recorder.publish(publisher, laneMessage(2, 'routed'));
      letAnswer();
      expect(await recorder.answered(2)).toEqual({ kind: 'confirmed' });
      expect(recorder.outcome(1)).toBeUndefined();
    });
  }

  test('a channel that the broker closes is told once, with its scope, and opened again', async () => {
    const { publisher, recorder, letOpen, letAnswer, loseChannel } = await opened(factory);
    await loseChannel();
    letOpen();
    await recorder.told('open', 'closed', 'open');
    expect(recorder.closed[0]).toMatchObject({
      scope: 'channel',
      text: expect.stringMatching(/./),
    });
    recorder.publish(publisher, laneMessage(2, 'routed'));
    letAnswer();
    expect(await recorder.answered(2)).toEqual({ kind: 'confirmed' });
  });

  test('publishing while it is not open is a fault of the caller', async () => {
    const { publisher } = await factory();
    onTestFinished(() => publisher.stop());
    expect(() => publisher.publish(laneMessage(1, 'routed'), () => {})).toThrowError(/not open/);
  });
}

function describeStop(factory: Factory): void {
  test('stop closes for good: told once, no outcome, no opening', async () => {
    const { publisher, recorder, letOpen } = await opened(factory);
    recorder.publish(publisher, laneMessage(1, 'routed'));
    await publisher.stop();
    letOpen();
    expect(recorder.events).toEqual(['open', 'closed']);
    expect(recorder.outcome(1)).toBeUndefined();
  });

  test('stop before it ever opened ends the attempt, and nothing is told', async () => {
    const { publisher, letOpen } = await factory();
    const recorder = new PublisherRecorder();
    publisher.start(recorder);
    await publisher.stop();
    letOpen();
    expect(recorder.events).toEqual([]);
  });
}
