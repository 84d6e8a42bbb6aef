import { expect, test } from 'vitest';
import { channelWithin } from './no-answer.ts';

test('a channel that opens after nobody waits for it any more is handed on to be closed: its connection may live', async () => {
  const stopped = new AbortController();
  let opens = (_channel: string): void => undefined;
  const opening = new Promise<string>((resolve) => {
    opens = resolve;
  });
  const late: string[] = [];
  const patience = { limitMs: 10_000, lost: stopped.signal };
  const channel = channelWithin(patience, opening, (one) => late.push(one));
  stopped.abort();
  await expect(channel).rejects.toThrow('lost');
  opens('channel');
  await new Promise(setImmediate);
  expect(late).toEqual(['channel']);
});
