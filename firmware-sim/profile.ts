import type { Random } from './random.ts';

/** How hard life is for a fleet. */
export const PROFILES = ['steady', 'flaky', 'reboots', 'mixed'] as const;
export type Profile = (typeof PROFILES)[number];

/** One mishap of one device. */
export interface Disturbance {
  readonly kind: 'radio-lost' | 'reboot';
  /** Wait from the end of the mishap before, in ms. */
  readonly afterMs: number;
  /** How long the radio or the device is gone, in ms. */
  readonly lastsMs: number;
}

/** A weak radio link: gone every 8 s on average, mostly for less than the keep-alive notices. */
const RADIO_LOST_EVERY_MS = 8_000;
const RADIO_LOST_LASTS_MS: readonly [number, number] = [200, 3_000];
/** A brown-out: rarer, and the device needs its time to boot. */
const REBOOT_EVERY_MS = 15_000;
const REBOOT_LASTS_MS: readonly [number, number] = [1_000, 3_000];
/** In `mixed`, two mishaps of three are of the radio. */
const RADIO_SHARE_OF_MIXED = 2 / 3;

/** The mishaps of one device, for ever; none at all when steady. Same random, same mishaps. */
export function* disturbances(profile: Profile, random: Random): Generator<Disturbance> {
  if (profile === 'steady') return;
  while (true) yield profile === 'mixed' ? mixed(random) : one(profile === 'flaky', random);
}

function mixed(random: Random): Disturbance {
  return one(random.next() < RADIO_SHARE_OF_MIXED, random);
}

function one(radio: boolean, random: Random): Disturbance {
  const [shortest, longest] = radio ? RADIO_LOST_LASTS_MS : REBOOT_LASTS_MS;
  return {
    kind: radio ? 'radio-lost' : 'reboot',
    afterMs: Math.round(random.waitingTime(radio ? RADIO_LOST_EVERY_MS : REBOOT_EVERY_MS)),
    lastsMs: Math.round(random.between(shortest, longest)),
  };
}
