import { escapeXml, px } from './chart-svg.ts';
import type { Frame } from './cpu-profile.ts';

const WIDTH = 1600;
const ROW_HEIGHT = 17;
const TOP = 28;
/** Narrower frames cannot be seen, and with them the file would be large. In px. */
const NARROWEST = 0.4;
/** A letter of the font below, in px; a frame with room for fewer than three has no text. */
const LETTER_WIDTH = 6.2;
const SHORTEST_TEXT = 3;
const US_PER_MS = 1000;
const PERCENT = 100;

/** Hues by origin, so that ours stand out from what we use. */
const HUES: ReadonlyMap<string, number> = new Map([
  ['aedes', 25],
  ['mqtt-packet', 45],
  ['amqplib', 270],
  ['classic-level', 330],
  ['abstract-level', 330],
  ['node', 210],
  ['(garbage collector)', 0],
]);
const OURS_HUE = 150;
const OTHERS_HUE = 60;

/**
 * A flame graph as SVG that needs nothing else: the width of a frame is its time, what it called stands below, and a title
 * tells the rest to the mouse.
 */
export function flameGraph(title: string, root: Frame): string {
  const rects: string[] = [];
  const merged = merge([root]);
  let depth = 0;
  const draw = (frame: Frame, x: number, level: number): void => {
    const width = root.totalUs === 0 ? 0 : (frame.totalUs / root.totalUs) * WIDTH;
    if (width < NARROWEST) return;
    depth = Math.max(depth, level);
    rects.push(rect({ frame, x, level, width, share: frame.totalUs / root.totalUs }));
    let childX = x;
    for (const child of frame.children) {
      draw(child, childX, level + 1);
      childX += (child.totalUs / root.totalUs) * WIDTH;
    }
  };
  for (const frame of merged) draw(frame, 0, 0);
  const height = TOP + (depth + 1) * ROW_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    '<style>text { font: 11px monospace; pointer-events: none; } .head { font: 600 14px sans-serif; } rect { stroke: #fff; stroke-width: 0.5; } rect:hover { opacity: 0.7; }</style>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="6" y="18" class="head">${escapeXml(title)}</text>`,
    ...rects,
    '</svg>\n',
  ].join('\n');
}

/** Frames of the same function made one, and so on below; the widest first. */
export function merge(frames: readonly Frame[]): Frame[] {
  const groups = new Map<string, Frame[]>();
  for (const frame of frames) {
    const key = `${frame.name}\n${frame.origin}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [frame]);
    else group.push(frame);
  }
  return [...groups.values()].map(mergeOne).sort((a, b) => b.totalUs - a.totalUs);
}

function mergeOne(group: readonly Frame[]): Frame {
  const [{ name, origin } = { name: '', origin: '' }] = group;
  const sum = (key: 'selfUs' | 'totalUs'): number =>
    group.reduce((total, frame) => total + frame[key], 0);
  const children = merge(group.flatMap((frame) => frame.children));
  return { name, origin, selfUs: sum('selfUs'), totalUs: sum('totalUs'), children };
}

interface Drawn {
  readonly frame: Frame;
  readonly x: number;
  readonly level: number;
  readonly width: number;
  /** Of all time, between 0 and 1. */
  readonly share: number;
}

function rect({ frame, x, level, width, share }: Drawn): string {
  const { name, origin, selfUs, totalUs } = frame;
  const y = TOP + level * ROW_HEIGHT;
  const times = `${(totalUs / US_PER_MS).toFixed(1)} ms, ${(share * PERCENT).toFixed(1)} %; self ${(selfUs / US_PER_MS).toFixed(1)} ms`;
  const letters = Math.floor((width - 4) / LETTER_WIDTH);
  const text =
    letters < SHORTEST_TEXT
      ? ''
      : `<text x="${px(x + 3)}" y="${y + 12}">${escapeXml(name.slice(0, letters))}</text>`;
  return `<g><title>${escapeXml(`${name} (${origin}): ${times}`)}</title><rect x="${px(x)}" y="${y}" width="${px(width)}" height="${ROW_HEIGHT}" fill="${colourOf(origin)}"/>${text}</g>`;
}

function colourOf(origin: string): string {
  const hue = origin.startsWith('tidegate') ? OURS_HUE : (HUES.get(origin) ?? OTHERS_HUE);
  return `hsl(${hue} 65% 75%)`;
}
