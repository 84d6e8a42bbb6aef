import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { pullCounter, pullGauge, single } from './pulled-metric.ts';

/** How often the event loop is probed: fine enough for PUBACK latencies, 50 wake-ups a second. */
const LAG_PROBE_MS = 20;
const NANOSECONDS_PER_SECOND = 1e9;
const MICROSECONDS_PER_SECOND = 1e6;
const MS_PER_SECOND = 1000;

/**
 * Registers memory, CPU and event loop lag under the names Prometheus client libraries use everywhere.
 * @returns ends the probing of the event loop.
 */
export function registerProcessMetrics(registry: Registry): () => void {
  registerMemoryAndCpu(registry);
  const delay = monitorEventLoopDelay({ resolution: LAG_PROBE_MS });
  delay.enable();
  registerLag(registry, delay);
  return () => {
    delay.disable();
  };
}

function registerMemoryAndCpu(registry: Registry): void {
  const startedAtSeconds = (Date.now() - process.uptime() * MS_PER_SECOND) / MS_PER_SECOND;
  pullGauge(registry, {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    read: () => single(process.memoryUsage.rss()),
  });
  pullGauge(registry, {
    name: 'nodejs_heap_size_used_bytes',
    help: 'JavaScript heap in use.',
    read: () => single(process.memoryUsage().heapUsed),
  });
  pullGauge(registry, {
    name: 'nodejs_external_memory_bytes',
    help: 'Memory of buffers and native objects tied to JavaScript ones.',
    read: () => single(process.memoryUsage().external),
  });
  pullGauge(registry, {
    name: 'process_start_time_seconds',
    help: 'Start of the process, in seconds since 1970.',
    read: () => single(startedAtSeconds),
  });
  pullCounter(registry, {
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process, user and system.',
    read: () => {
      const { user, system } = process.cpuUsage();
      return single((user + system) / MICROSECONDS_PER_SECOND);
    },
  });
}

function registerLag(registry: Registry, delay: IntervalHistogram): void {
  const seconds = (nanoseconds: number): number => {
    // The histogram holds the distance between two probes, of which only the excess is lag.
    const lagSeconds = nanoseconds / NANOSECONDS_PER_SECOND - LAG_PROBE_MS / MS_PER_SECOND;
    return delay.count === 0 ? 0 : Math.max(0, lagSeconds);
  };
  pullGauge(registry, {
    name: 'nodejs_eventloop_lag_p99_seconds',
    help: 'Lag of the event loop since the last scrape, 99th percentile.',
    read: () => single(seconds(delay.percentile(99))),
  });
  pullGauge(registry, {
    name: 'nodejs_eventloop_lag_max_seconds',
    help: 'Lag of the event loop since the last scrape, greatest.',
    read: () => {
      const lag = single(seconds(delay.max));
      // The last of the two to be read starts the next period.
      delay.reset();
      return lag;
    },
  });
}
