import { expect, test } from 'vitest';
import { type Reading, SensorModel } from './sensor-model.ts';

function readings(seed: number, count: number): Reading[] {
  const model = new SensorModel(seed);
  return Array.from({ length: count }, () => model.next());
}

test('the same seed gives the same readings, another seed gives others', () => {
  expect(readings(5, 500)).toEqual(readings(5, 500));
  expect(readings(5, 20)).not.toEqual(readings(6, 20));
});

test('temperature, humidity and battery take turns', () => {
  const metrics = readings(1, 300)
    .filter(({ kind }) => kind === 'telemetry')
    .map(({ metric }) => metric);
  expect(metrics.slice(0, 6)).toEqual([
    ...['temperature', 'humidity', 'battery'],
    ...['temperature', 'humidity', 'battery'],
  ]);
});

test('an alarm follows at once on the temperature that raised it, and only once until it cools down', () => {
  const taken = readings(1, 3_000);
  const alarms = taken.flatMap((reading, index) => (reading.kind === 'alarm' ? [index] : []));
  expect(alarms.length).toBeGreaterThan(2);
  for (const index of alarms) {
    expect(taken[index - 1]).toMatchObject({ metric: 'temperature', value: taken[index]?.value });
    expect(taken[index]?.value).toBeGreaterThan(28);
  }
  const between = taken.slice(alarms[0], alarms[1]);
  expect(between.some(({ metric, value }) => metric === 'temperature' && value < 26)).toBe(true);
});

test('values stay within what the sensors can measure', () => {
  const limits: Readonly<Record<string, readonly [number, number]>> = {
    temperature: [5, 40],
    alarm: [28, 40],
    humidity: [0, 100],
    battery: [3.2, 4.2],
  };
  const outside = readings(2, 70_000).filter(({ metric, value }) => {
    const [low, high] = limits[metric] ?? [0, 0];
    return !(value >= low && value <= high);
  });
  expect(outside).toEqual([]);
});
