import { setFlagsFromString } from 'node:v8';

/**
 * The old generation of the heap grows by a tenth between two collections and not by half or more, and the young one
 * stays as small as it begins: a message lives for some milliseconds, and a young generation that fits into the
 * caches of the processor is the cheapest to collect.
 */
const FLAGS = ['--heap-growing-percent=10', '--semi-space-growth-factor=1'];

/**
 * Makes V8 collect garbage early instead of going by the memory of the machine: a backlog of 100,000 messages took
 * over 200 MB without it, most of it garbage. Measured while storing 80,000 messages a second: 14.5 µs of CPU a message
 * and 133 MB resident; with `--optimize-for-size` 18.5 µs and 133 MB, with V8's defaults 14.0 µs and 180 MB.
 * To be called before anything else has filled the heap.
 */
export function keepMemorySmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
