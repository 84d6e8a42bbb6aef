import { expect, test } from 'vitest';
import { GatewayError } from '../shared/errors.ts';
import { createLogger, type LogLevel, type RootLog } from './log.ts';

function createCaptured(level: LogLevel = 'info'): { log: RootLog; lines: string[] } {
  const lines: string[] = [];
  const log = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

function parse(line: string | undefined): Record<string, unknown> {
  return JSON.parse(line ?? '');
}

test('a thing is one JSON line with level, time, fields and text', () => {
  const { log, lines } = createCaptured();
  log.info({ event: 'ready', port: 1883 }, 'Listening.\nReally.');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]+\n$/);
  const line = parse(lines[0]);
  expect(line).toEqual({
    level: 'info',
    time: expect.any(String),
    event: 'ready',
    port: 1883,
    msg: 'Listening.\nReally.',
  });
  expect(new Date(String(line['time'])).toISOString()).toBe(line['time']);
});

test('a line below the level is not written', () => {
  const { log, lines } = createCaptured('warn');
  log.debug({}, 'no');
  log.info({}, 'no');
  log.warn({}, 'yes');
  log.error({}, 'yes');
  expect(lines.map((line) => parse(line)['level'])).toEqual(['warn', 'error']);
});

test('a child puts its fields into each line', () => {
  const { log, lines } = createCaptured('debug');
  log.child({ lane: 'a' }).child({ part: 'delivery' }).debug({ seq: 1 }, 'x');
  expect(parse(lines[0])).toMatchObject({ lane: 'a', part: 'delivery', seq: 1 });
});

test('an error shows its code, and no password of a URL gets out anywhere in the line', () => {
  const { log, lines } = createCaptured();
  const err = new GatewayError('AMQP_UNREACHABLE', 'amqp://u:secret@h is away.');
  log.child({ url: 'amqp://u:secret@h' }).error({ err, urls: ['amqp://u:secret@h'] }, 'secret@h');
  expect(lines[0]).not.toContain('u:secret');
  expect(parse(lines[0])).toMatchObject({
    err: { code: 'AMQP_UNREACHABLE', message: 'amqp://u:***@h is away.' },
  });
});

test('fields that JSON cannot hold do not throw', () => {
  const { log, lines } = createCaptured();
  const circular: Record<string, unknown> = { big: 1n };
  circular['self'] = circular;
  log.info({ circular }, 'still here');
  expect(parse(lines[0])).toMatchObject({ msg: 'still here' });
});

test('flush without a destination that can flush resolves', async () => {
  const { log } = createCaptured();
  await expect(log.flush()).resolves.toBeUndefined();
  expect(log.droppedTotal).toBe(0);
});
