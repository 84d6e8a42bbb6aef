import { CHART_WIDTH, label, line, px, svg } from './chart-svg.ts';
import { formatNumber, type MetricStyle, styleOf } from './report-number.ts';
import { metricsOf, type ScenarioResult, valuesOf } from './runner-result.ts';
import { type Spread, spread } from './statistics.ts';

const NAMES_WIDTH = 220;
const VALUES_WIDTH = 90;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const HEAD_HEIGHT = 34;
const MARGIN = 12;
/** More panels than that nobody reads. */
const PANELS = 4;
const LIMIT = /^(bare|group)-/;

/** A panel of horizontal bars for each metric that is judged: the medians, the range as a thin line. Undefined where nothing can be compared. */
export function barChart(result: ScenarioResult): string | undefined {
  const panels = chartedMetrics(result).map((metric) => {
    const spreads = result.subjects.flatMap((subject) => {
      const of = spread(valuesOf(result, subject, metric));
      return of === undefined ? [] : [{ subject, of }];
    });
    return { metric, spreads };
  });
  if (panels.length === 0) return undefined;
  const content: string[] = [];
  let y = 0;
  for (const { metric, spreads } of panels) {
    const largest = Math.max(...spreads.map(({ of }) => of.max));
    const style = styleOf(metric, largest);
    content.push(label(MARGIN, y + HEAD_HEIGHT - MARGIN, style.label, 'title'));
    y += HEAD_HEIGHT;
    for (const { subject, of } of spreads) {
      content.push(...bar({ subject, of, largest, style, y }));
      y += ROW_HEIGHT;
    }
  }
  return svg(result.title, y + MARGIN, content);
}

function chartedMetrics(result: ScenarioResult): string[] {
  const isCompared = (metric: string): boolean =>
    result.subjects.filter((subject) => valuesOf(result, subject, metric).length > 0).length > 1;
  const measured = metricsOf(result).filter(isCompared);
  const judged = measured.filter((metric) => result.goals.some((goal) => goal.metric === metric));
  return judged.length > 0 ? judged.slice(0, PANELS) : measured.slice(0, 1);
}

interface Bar {
  readonly subject: string;
  readonly of: Spread;
  readonly largest: number;
  readonly style: MetricStyle;
  readonly y: number;
}

function bar({ subject, of, largest, style, y }: Bar): string[] {
  const left = NAMES_WIDTH + MARGIN;
  const width = CHART_WIDTH - left - VALUES_WIDTH - MARGIN;
  const x = (value: number): number => left + (largest > 0 ? (value / largest) * width : 0);
  const middle = y + BAR_HEIGHT / 2;
  const text = formatNumber(of.median / style.divisor);
  const parts = [
    label(NAMES_WIDTH, middle + 4, subject, 'end'),
    `<rect x="${left}" y="${y}" width="${px(x(of.median) - left)}" height="${BAR_HEIGHT}" rx="2" class="${kindOf(subject)}"/>`,
    label(Math.max(x(of.median), x(of.max)) + 6, middle + 4, text),
  ];
  if (of.min !== of.max) parts.push(line([x(of.min), middle], [x(of.max), middle], 'range'));
  return parts;
}

function kindOf(subject: string): string {
  if (subject.startsWith('tidegate')) return 'ours';
  return LIMIT.test(subject) ? 'limit' : 'rival';
}
