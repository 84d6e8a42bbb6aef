const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['kB', 1000],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['TB', 1000 ** 4],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

/** What `parseBytes` accepts, as a regular expression for the JSON Schema. */
export const SIZE_PATTERN: string = '^\\d+(\\.\\d+)?\\s*(B|kB|[KMGT]B|[KMGT]iB)?$';

/** Bytes in a size such as `64KiB` (1024) or `10MB` (1000); undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unitBytes = UNIT_BYTES.get(match?.[2] ?? '?');
  if (match === null || unitBytes === undefined) return undefined;
  const size = Number(match[1]) * unitBytes;
  return Number.isSafeInteger(size) ? size : undefined;
}

/** The shortest exact way to write a size: `2GiB`, `1500`. */
export function formatBytes(size: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const unitBytes = UNIT_BYTES.get(unit) ?? 1;
    if (size >= unitBytes && size % unitBytes === 0) return `${size / unitBytes}${unit}`;
  }
  return String(size);
}
