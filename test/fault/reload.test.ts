import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { reload } from '../helpers/reload.ts';
import { SeqAccount } from '../helpers/seq-account.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { LANE, type Site } from '../helpers/site.ts';
import { SEED, scale } from '../helpers/soak.ts';
import { runThroughFault } from './broker-run.ts';

const RELOADS = scale('reloads', { short: 10, long: 100 });
const MESSAGES_PER_SECOND = scale('reload-messages-per-second', { short: 500, long: 2_000 });
/** From a reload that comes while the one before is still at work, to a lane that is direct again. */
const BETWEEN_MS = { least: 10, most: 1_500 };
/** A second mapping of the same topics, which comes and goes. */
const COPY = 'copy';
const PATIENCE = { withinMs: 30_000 };

type Mapping = Readonly<Record<string, unknown>>;
type Mappings = readonly [Mapping, ...Mapping[]];

/** What a reload changes. The lane of the first mapping stays all the time. */
const CHANGES: Readonly<Record<string, (site: Site, now: Mappings) => Mappings>> = {
  exchange: (site, [first, ...others]) => {
    const [a, b] = [site.queue, `${site.queue}-b`];
    const { name } = first['exchange'] as { name: string };
    return [{ ...first, exchange: { name: name === a ? b : a, type: 'topic' } }, ...others];
  },
  limits: (_site, [first, ...others]) => {
    const { maxMessages = 1_000_000 } = (first['limits'] ?? {}) as { maxMessages?: number };
    return [{ ...first, limits: { maxMessages: maxMessages + 1 } }, ...others];
  },
  check: (_site, [{ when, ...first }, ...others]) => [
    when === undefined ? { ...first, when: 'counter >= 0' } : { ...first },
    ...others,
  ],
  copy: (site, [first, ...others]) =>
    others.length > 0 ? [first] : [first, copyOf(first, `${site.queue}-${COPY}`)],
};

function copyOf({ filter }: Mapping, queue: string): Mapping {
  const queues = [{ name: queue, type: 'classic', bindingKey: '#' }];
  return { name: COPY, filter, exchange: { name: queue, type: 'topic' }, queues };
}

/** What came of the mapping that comes and goes: by its seqs, and whether one identity was given twice. */
function accountOfCopy(site: Site): { account: SeqAccount; givenTwice: () => number } {
  const account = new SeqAccount(COPY);
  const bodies = new Map<string, string>();
  let givenTwice = 0;
  const consumer = consumeAll({
    url: sharedAmqpUrl(),
    queue: `${site.queue}-${COPY}`,
    onMessage: (message) => {
      account.delivered(message);
      const [id, body] = [String(message.properties.messageId), message.content.toString()];
      if ((bodies.get(id) ?? body) !== body) givenTwice += 1;
      bodies.set(id, body);
    },
  });
  onTestFinished(() => consumer.close());
  return { account, givenTwice: () => givenTwice };
}

test('reloads while messages flow lose nothing, and lanes that stay keep their order', async () => {
  const random = new Random(SEED);
  await runThroughFault({
    scenario: 'reload',
    title:
      'The config is reloaded at random moments while devices go on sending: another exchange, other limits, a payload check, a second mapping, faulty files',
    name: `${RELOADS} reloads`,
    amqpUrl: sharedAmqpUrl(),
    messagesPerSecond: MESSAGES_PER_SECOND,
    config: { delivery: { directAfterMs: 200 } },
    fault: async ({ site }) => {
      const { account, givenTwice } = accountOfCopy(site);
      const config = site.config as { mappings: Mappings };
      const counts: Record<string, number> = {};
      let mappings = config.mappings;
      const names = Object.keys(CHANGES);
      for (let nth = 0; nth < RELOADS; nth++) {
        // Each kind in turn and then at random, so that a short run has all of them too.
        const at = nth < names.length ? nth : Math.floor(random.between(0, names.length));
        const name = names[at] ?? 'limits';
        mappings = CHANGES[name]?.(site, mappings) ?? mappings;
        counts[name] = (counts[name] ?? 0) + 1;
        expect(await reload(site, { ...config, mappings })).toMatchObject({
          event: 'config-reloaded',
        });
        await delay(random.between(BETWEEN_MS.least, BETWEEN_MS.most));
      }
      const faulty = await reload(site, 'mappings: [{ name: x }');
      expect(faulty).toMatchObject({ event: 'config-reload-failed' });
      const [first] = mappings;
      await reload(site, { ...config, mappings: [first] });
      await eventually(async () => {
        const lanes = [...(await site.metrics()).keys()].filter((key) => key.includes(COPY));
        expect(lanes, 'the lane of the removed mapping ends when it has drained').toEqual([]);
      }, PATIENCE);
      const sent = account.lastSeq(1);
      await eventually(() => expect(account.missing(1)).toEqual([]), PATIENCE);
      expect(sent).toBeGreaterThan(0);
      expect(givenTwice()).toBe(0);
      expect((await site.metrics()).get('tidegate_config_reload_failures_total')).toBe(1);
      return { ...counts, 'messages of the second mapping': sent, lane: LANE };
    },
  });
});
