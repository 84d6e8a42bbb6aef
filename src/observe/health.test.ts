import { expect, test } from 'vitest';
import { assessHealth, type HealthFacts } from './health.ts';

const GOOD: HealthFacts = {
  listening: true,
  storeWritable: true,
  storeOrigin: 'same',
  brokerConnected: true,
  brokerBlocked: false,
  idTaken: false,
  lanes: [{ lane: 'telemetry', state: 'direct' }],
  clock: 'synced',
};

test.each<[string, Partial<HealthFacts>, boolean, string]>([
  ['all is well', {}, true, 'ok'],
  ['a lane drains', { lanes: [{ lane: 'a', state: 'draining' }] }, true, 'ok'],
  ['a lane is stalled', { lanes: [{ lane: 'a', state: 'stalled' }] }, true, 'degraded'],
  ['the broker is away', { brokerConnected: false }, true, 'degraded'],
  ['another gateway has the id', { idTaken: true }, true, 'degraded'],
  ['the broker blocks', { brokerBlocked: true }, true, 'degraded'],
  ['nobody confirms the clock', { clock: 'unsynced' }, true, 'ok'],
  ['the store fails', { storeWritable: false }, false, 'unready'],
  ['nothing listens', { listening: false }, false, 'unready'],
  ['broker and store fail', { brokerConnected: false, storeWritable: false }, false, 'unready'],
])('when %s, ready and status follow', (_when, facts, ready, status) => {
  const health = assessHealth({ ...GOOD, ...facts });
  expect(health).toMatchObject({ live: true, ready, status });
});

test('the checks name what is wrong', () => {
  const health = assessHealth({
    ...GOOD,
    brokerConnected: false,
    lanes: [
      { lane: 'a', state: 'stalled' },
      { lane: 'b', state: 'direct' },
    ],
  });
  expect(health.checks.lanes).toEqual({ status: 'degraded', text: 'stalled: a' });
  expect(health.checks.broker.status).toBe('degraded');
  expect(health.checks.store.status).toBe('ok');
  expect(health.checks.clock.text).toBe('synchronised');
});

test.each([
  ['same', 'writable'],
  ['unknown', 'writable'],
  ['moved', 'writable; was last used on another machine'],
  ['copied', 'writable; is a copy, or was put back'],
] as const)('a store of origin %s is ready, and says so: %s', (storeOrigin, text) => {
  const health = assessHealth({ ...GOOD, storeOrigin });
  expect(health).toMatchObject({ status: 'ok', checks: { store: { status: 'ok', text } } });
});
