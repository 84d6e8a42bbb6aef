const MARKER = /m\d{8};/g;
const DIGITS = 8;

/** Length of every marker. */
export const MARKER_BYTES = 10;

/** What a message is found by in traced bytes. It stands at both ends of the payload: see {@link markersIn}. */
export function markerOf(number: number): string {
  return `m${String(number).padStart(DIGITS, '0')};`;
}

/**
 * The markers in bytes read as latin1. A block header of LevelDB's log (every 32 KiB) may cut one marker of a
 * message in two, never both.
 */
export function markersIn(text: string): string[] {
  return text.match(MARKER) ?? [];
}

/** The number in a marker. */
export function numberOf(marker: string): number {
  return Number(marker.slice(1, -1));
}
