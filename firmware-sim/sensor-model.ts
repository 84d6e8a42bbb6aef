import { Random } from './random.ts';

/** What a message is about; each kind has its own QoS. */
export type MessageKind = 'telemetry' | 'alarm';

export interface Reading {
  readonly kind: MessageKind;
  /** Last level of the topic name. */
  readonly metric: string;
  readonly value: number;
}

/** Readings in one simulated day; short, so that a run of a minute sees rises, falls and alarms. */
const READINGS_PER_DAY = 240;
const MEAN_TEMPERATURE_C = 21;
const DAY_SWING_C = 8;
/** An alarm goes out when it gets warmer than this, and is armed again below the second value. */
const ALARM_ABOVE_C = 28;
const ALARM_ARMED_BELOW_C = 26;
const FULL_BATTERY_V = 4.2;
const EMPTY_BATTERY_V = 3.3;
/** Voltage lost per reading: empty after about 20,000 readings, then it is charged. */
const BATTERY_DROP_V = 0.000_045;

/** A sensor board: temperature, humidity and battery in turn, and an alarm when it gets hot. Same seed, same readings. */
export class SensorModel {
  readonly #random: Random;
  readonly #phase: number;
  #taken = 0;
  #drift = 0;
  #temperature = MEAN_TEMPERATURE_C;
  #batteryV = FULL_BATTERY_V;
  #alarmArmed = true;
  #alarmDue = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#phase = this.#random.between(0, 2 * Math.PI);
  }

  /** Takes the next reading. An alarm comes at once after the temperature that raised it. */
  next(): Reading {
    if (this.#alarmDue) {
      this.#alarmDue = false;
      return { kind: 'alarm', metric: 'alarm', value: this.#temperature };
    }
    const turn = this.#taken++ % 3;
    if (turn === 0) return telemetry('temperature', this.#nextTemperature());
    if (turn === 1) return telemetry('humidity', this.#nextHumidity());
    return telemetry('battery', this.#nextBattery());
  }

  #nextTemperature(): number {
    const day = Math.sin((2 * Math.PI * this.#taken) / READINGS_PER_DAY + this.#phase);
    this.#drift = this.#drift * 0.95 + this.#random.between(-0.3, 0.3);
    this.#temperature = rounded(MEAN_TEMPERATURE_C + DAY_SWING_C * day + this.#drift, 2);
    if (this.#alarmArmed && this.#temperature > ALARM_ABOVE_C) {
      this.#alarmArmed = false;
      this.#alarmDue = true;
    } else if (this.#temperature < ALARM_ARMED_BELOW_C) {
      this.#alarmArmed = true;
    }
    return this.#temperature;
  }

  /** Warm air holds more water: the relative humidity falls as the temperature rises. */
  #nextHumidity(): number {
    const percent =
      55 - 1.8 * (this.#temperature - MEAN_TEMPERATURE_C) + this.#random.between(-1, 1);
    return rounded(Math.min(100, Math.max(0, percent)), 1);
  }

  #nextBattery(): number {
    this.#batteryV -= BATTERY_DROP_V * this.#random.between(0.5, 1.5);
    if (this.#batteryV < EMPTY_BATTERY_V) this.#batteryV = FULL_BATTERY_V;
    return rounded(this.#batteryV, 3);
  }
}

function telemetry(metric: string, value: number): Reading {
  return { kind: 'telemetry', metric, value };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
