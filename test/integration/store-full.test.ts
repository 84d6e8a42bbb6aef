import { expect, onTestFinished, test } from 'vitest';
import type { LaneMessage } from '../../src/shared/message.ts';
import { LevelStore, type StoreEvents } from '../../src/store/level-store.ts';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const MIB = 1024 * 1024;
const PAYLOAD = Buffer.alloc(
  8 * 1024,
  'a payload that LevelDB cannot make much smaller than it is',
);

function message(seq: number): LaneMessage {
  return {
    gatewayId: 'g',
    epoch: 1,
    seq,
    routingKey: 'a.b',
    topic: 'a/b',
    payload: PAYLOAD,
    qos: 1,
    dup: false,
    retain: false,
    clientId: 'c',
    receivedAtMs: 1,
  };
}

test('a store that reached maxBytes holds appends back, and takes them when what it held is settled', async () => {
  const trouble: unknown[] = [];
  let recovered = 0;
  const events: StoreEvents = {
    onFinding: () => undefined,
    onTrouble: (error) => trouble.push(error),
    onRecovered: () => {
      recovered += 1;
    },
  };
  const path = await tempDir();
  const limits = { maxBytes: 16 * MIB, reserveBytes: 0, ballastBytes: 0 };
  const store = new LevelStore({ path, ...limits }, events);
  await store.open();
  onTestFinished(() => store.close());
  const log = await store.lane('telemetry');

  let durable = 0;
  const appends = Array.from({ length: 3_000 }, async (_, index) => {
    await log.append(message(index + 1));
    durable += 1;
  });
  await eventually(() => expect(trouble).toHaveLength(1), { withinMs: 10_000 });
  expect(store.writable).toBe(false);
  expect(trouble[0]).toMatchObject({ code: 'STORE_FULL' });
  expect(durable).toBeGreaterThan(100);
  expect(durable).toBeLessThan(3_000);

  await eventually(
    () => {
      log.settle(log.endOffset); // the broker confirms all that is stored
      expect(durable).toBe(3_000);
    },
    { withinMs: 30_000 },
  );
  await Promise.all(appends);
  expect(recovered).toBeGreaterThan(0);
  expect(store.writable).toBe(true);
});
