import { Counter, Gauge, type Registry } from 'prom-client';

/** One value with its labels. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PulledMetric {
  /** With unit and `_total` as Prometheus wants it. */
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Called at each scrape; gives every value there is then. */
  readonly read: () => readonly Sample[];
}

/** Registers a counter whose values are counted elsewhere and only read at a scrape. */
export function pullCounter(registry: Registry, metric: PulledMetric): void {
  const counter = new Counter({
    name: metric.name,
    help: metric.help,
    labelNames: metric.labelNames ?? [],
    registers: [registry],
    collect() {
      // Emptied first: the values are absolute, and a lane that is gone must not stay.
      counter.reset();
      for (const { labels, value } of metric.read()) counter.inc(labels ?? {}, value);
    },
  });
}

/** Registers a gauge whose values are only read at a scrape. */
export function pullGauge(registry: Registry, metric: PulledMetric): void {
  const gauge = new Gauge({
    name: metric.name,
    help: metric.help,
    labelNames: metric.labelNames ?? [],
    registers: [registry],
    collect() {
      gauge.reset();
      for (const { labels, value } of metric.read()) gauge.set(labels ?? {}, value);
    },
  });
}

/** The one sample of a metric without labels. */
export function single(value: number | boolean): readonly Sample[] {
  return [{ value: Number(value) }];
}

/** A sample for each key of a table of counts, under the label `labelName`. */
export function byKey(labelName: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [labelName]: key }, value }));
}
