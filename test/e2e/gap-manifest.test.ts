import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { connectDevice, createLimitedSite, publishRange } from '../helpers/limited-site.ts';
import { LANE } from '../helpers/site.ts';

const LIMIT_MESSAGES = 50;
const FLOOD = 2_000;
/** Long enough that there is something in flight at nearly every moment, and far from what makes a lane spill. */
const CONFIRM_LATENCY_MS = 20;
/** In each direction: a message is at the broker for so long before its confirm is at the gateway. */
const LOST_CONFIRM_LATENCY_MS = 2_000;
const PATIENCE = { withinMs: 60_000 };
const GAP_LANE = 'tidegate.gaps';

function cutOff(whenFull: string): ReturnType<typeof createLimitedSite> {
  return createLimitedSite({
    config: { shutdown: { timeoutMs: 2_000 } },
    mapping: { limits: { maxMessages: LIMIT_MESSAGES }, whenFull },
  });
}

test.each(['drop-oldest', 'drop-newest'])(
  'with %s, killed in the middle of giving up, no seq is both missing and unnamed',
  async (whenFull) => {
    const limited = await cutOff(whenFull);
    const { site, account } = limited;
    await site.proxy.cut();
    let acknowledged = 0;
    for (let kill = 0; kill < 2; kill += 1) {
      await site.start();
      const device = await connectDevice(site);
      const publishing = publishRange(device, 1, FLOOD);
      await eventually(
        async () => {
          const values = await site.metrics();
          const dropped = values.get(`tidegate_lane_dropped_total{lane="${LANE}",reason="full"}`);
          expect(dropped ?? 0).toBeGreaterThan(100 * (kill + 1));
        },
        { ...PATIENCE, everyMs: 5 },
      );
      await site.gateway.kill();
      acknowledged += (await publishing).length;
    }
    expect(acknowledged).toBeGreaterThan(200);
    await site.start();
    await site.proxy.restore();
    limited.consume();
    await site.drained();
    await eventually(() => {
      expect(account.endOf(2)).toMatchObject({ clean: false });
      for (const epoch of [1, 2]) expect(account.missing(epoch)).toEqual([]);
    }, PATIENCE);
    expect(account.endOf(1)).toMatchObject({ clean: false });
    expect(account.endOf(1)?.lastSeqs).toBeUndefined();
    // Each acknowledged message has a seq of its own, delivered or named.
    const known = account.lastSeq(1) + account.lastSeq(2);
    expect(known).toBeGreaterThanOrEqual(acknowledged);
    expect(account.namedCount(1)).toBeGreaterThan(100);
  },
);

test('a message that arrived, and was given up as its confirm was lost with the link, is named as uncertain', async () => {
  const limited = await cutOff('drop-oldest');
  const { site, account, payloads } = limited;
  limited.consume();
  await site.start();
  await eventually(() => {
    expect(site.gateway.logs()).toContainEqual(
      expect.objectContaining({ event: 'lane-open', lane: LANE }),
    );
  }, PATIENCE);
  site.proxy.latency(LOST_CONFIRM_LATENCY_MS);
  const device = await connectDevice(site);
  expect(await publishRange(device, 1, 1)).toEqual([1]);
  await eventually(() => expect(payloads).toEqual(['1']), { ...PATIENCE, everyMs: 5 });
  await site.proxy.cut(); // with the confirm on its way
  expect(await publishRange(device, 2, LIMIT_MESSAGES + 2)).toHaveLength(LIMIT_MESSAGES + 1);
  site.proxy.latency(0);
  await site.proxy.restore();
  await site.drained();
  await eventually(() => expect(account.missing(1, LIMIT_MESSAGES + 2)).toEqual([]), PATIENCE);
  expect(account.both(1)).toEqual([1]);
  const uncertain = account.events.filter((event) => event.uncertain === true);
  expect(uncertain).toMatchObject([{ lane: LANE, reason: 'full', fromSeq: 1, toSeq: 1 }]);
  expect(account.namedCount(1)).toBe(2);
});

test('killed with a healthy link, only what was in flight can be missing before the last known seq', async () => {
  const outstanding = 30;
  const limited = await createLimitedSite({
    config: { delivery: { window: { maxMessages: 2 * outstanding } } },
  });
  const { site, account } = limited;
  limited.consume();
  await site.start();
  // The device publishes as fast as it is acknowledged: what began in the store would stay ahead of the broker.
  await eventually(() => {
    expect(site.gateway.logs()).toContainEqual(
      expect.objectContaining({ event: 'lane-open', lane: LANE }),
    );
  }, PATIENCE);
  const device = await connectDevice(site);
  let acknowledged = 0;
  const publishOn = (): void => {
    device.publish('devices/d/telemetry/t', 'x', { qos: 1 }, (error) => {
      if (error) return;
      acknowledged += 1;
      publishOn();
    });
  };
  for (let n = 0; n < outstanding; n += 1) publishOn();
  await eventually(async () => {
    expect(await site.laneMetric('direct_total')).toBeGreaterThan(500);
  }, PATIENCE);
  site.proxy.latency(CONFIRM_LATENCY_MS);
  await eventually(async () => {
    expect(await site.laneMetric('in_flight_messages')).toBeGreaterThan(0);
  }, PATIENCE);
  await site.gateway.kill();
  await site.start();
  await site.drained();
  await eventually(() => expect(account.endOf(1)).toMatchObject({ clean: false }), PATIENCE);
  const last = account.lastSeq(1);
  expect(account.missing(1).filter((seq) => seq <= last - outstanding)).toEqual([]);
  expect(account.deliveredCount(1)).toBeGreaterThanOrEqual(acknowledged);
});

test('after a clean stop the next run tells the last seqs, and up to them all are accounted for', async () => {
  const limited = await cutOff('drop-oldest');
  const { site, account } = limited;
  await site.proxy.cut();
  await site.start();
  expect(await publishRange(await connectDevice(site), 1, FLOOD)).toHaveLength(FLOOD);
  expect(await site.gateway.stop()).toBe(0);
  await site.start();
  await site.proxy.restore();
  limited.consume();
  const end = await eventually(() => {
    const event = account.endOf(1);
    expect(event).toBeDefined();
    return event;
  }, PATIENCE);
  expect(end).toMatchObject({ clean: true, lastSeqs: { [LANE]: FLOOD } });
  expect(end?.lastSeqs?.[GAP_LANE]).toBeGreaterThan(0);
  await eventually(() => expect(account.missing(1, FLOOD)).toEqual([]), PATIENCE);
});

test('a stop while PUBACKs are held back is clean too: what was never acknowledged does not count', async () => {
  const limited = await cutOff('block');
  const { site, account } = limited;
  await site.proxy.cut();
  await site.start();
  const publishing = publishRange(await connectDevice(site), 1, 2 * LIMIT_MESSAGES);
  await eventually(
    async () => expect(await site.laneMetric('backlog_messages')).toBe(LIMIT_MESSAGES),
    PATIENCE,
  );
  await site.gateway.stop();
  expect(await publishing).toHaveLength(LIMIT_MESSAGES);
  await site.start();
  await site.proxy.restore();
  limited.consume();
  const lastSeqs = { [LANE]: LIMIT_MESSAGES };
  await eventually(
    () => expect(account.endOf(1)).toMatchObject({ clean: true, lastSeqs }),
    PATIENCE,
  );
  await eventually(() => expect(account.missing(1, LIMIT_MESSAGES)).toEqual([]), PATIENCE);
});

test('what an operator discards is named', async () => {
  const limited = await createLimitedSite({
    config: { delivery: { parkedRetryMs: 86_400_000 } },
    mapping: { queues: [] }, // nothing is bound, so all is parked
  });
  const { site, account } = limited;
  await site.start();
  await publishRange(await connectDevice(site), 1, 3);
  await eventually(async () => expect(await site.laneMetric('parked_messages')).toBe(3), PATIENCE);
  const url = `http://127.0.0.1:${site.adminPort}/api/parked/discard?lane=${LANE}&confirm=${LANE}`;
  expect((await fetch(url, { method: 'POST' })).status).toBe(200);
  await eventually(() => expect(account.missing(1, 3)).toEqual([]), PATIENCE);
  expect(account.events).toMatchObject([{ event: 'gap', reason: 'discarded', count: 3 }]);
});
