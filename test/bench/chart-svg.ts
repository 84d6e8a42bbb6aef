/** Width of all charts, in px. */
export const CHART_WIDTH = 860;

/** Colours for both kinds of background: an image of a page follows what its reader prefers. */
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .small { font-size: 11px; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .ours { fill: #0a7d74; } .rival { fill: #8a94a3; } .limit { fill: #d0b26a; }
  .range { stroke: #24292f; stroke-width: 1.5; fill: none; }
  .grid { stroke: #24292f; stroke-opacity: 0.15; }
  .series { fill: none; stroke-width: 2.5; }
  .s0 { stroke: #0a7d74; } .s1 { stroke: #b4531f; } .s2 { stroke: #5b5fc7; } .s3 { stroke: #7a7f87; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ours { fill: #35b5aa; } .rival { fill: #6d7785; } .limit { fill: #a38a4a; }
    .range, .grid { stroke: #e6edf3; }
    .s0 { stroke: #35b5aa; } .s1 { stroke: #e08a55; } .s2 { stroke: #9a9df0; } .s3 { stroke: #a5abb3; }
  }
`;

/** A complete SVG that needs nothing else, with a title for those who cannot see it. */
export function svg(title: string, height: number, content: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${CHART_WIDTH} ${height}" width="${CHART_WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    ...content,
    '</svg>\n',
  ].join('\n');
}

/** A text that begins, ends or is centred at x, as its classes say. */
export function label(x: number, y: number, text: string, classes = ''): string {
  return `<text x="${px(x)}" y="${px(y)}" class="${classes}">${escapeXml(text)}</text>`;
}

/** A straight line between two points. */
export function line(
  from: readonly [number, number],
  to: readonly [number, number],
  classes: string,
): string {
  return `<path d="M${px(from[0])} ${px(from[1])}L${px(to[0])} ${px(to[1])}" class="${classes}"/>`;
}

/** A tenth of a px is enough. */
export function px(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** Text as it may stand in an element or an attribute. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
