import { expect, test } from 'vitest';
import { GatewayError } from '../shared/errors.ts';
import { describeError } from './describe-error.ts';

test('an error with a code shows code and cause, and no stack', () => {
  const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED', socket: {} });
  expect(describeError(new GatewayError('AMQP_UNREACHABLE', 'No broker.', cause))).toEqual({
    type: 'GatewayError',
    message: 'No broker.',
    code: 'AMQP_UNREACHABLE',
    cause: { type: 'Error', message: 'connect refused', code: 'ECONNREFUSED' },
  });
});

test('an error without a code is a bug and shows its stack', () => {
  expect(describeError(new TypeError('x is undefined'))).toMatchObject({
    type: 'TypeError',
    stack: expect.stringContaining('describe-error.test.ts'),
  });
});

test('an aggregate shows its parts, because its own message is empty', () => {
  const part = Object.assign(new Error('refused ::1'), { code: 'ECONNREFUSED' });
  const aggregate = Object.assign(new AggregateError([part]), { code: 'ECONNREFUSED' });
  expect(describeError(aggregate)).toMatchObject({ errors: [{ message: 'refused ::1' }] });
});

test('a circular cause ends, a frozen error is no problem, other things stay', () => {
  const circular = new Error('a');
  circular.cause = circular;
  expect(JSON.stringify(describeError(circular))).toContain('"message":"a"');
  expect(describeError(Object.freeze(new Error('b')))).toMatchObject({ message: 'b' });
  expect(describeError('thrown text')).toBe('thrown text');
});
