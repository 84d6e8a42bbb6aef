import { barChart } from './chart-bars.ts';
import { curveChart } from './chart-curve.ts';
import type { ScenarioResult } from './runner-result.ts';

/** The chart of a result as SVG: a curve where the scenario is one, else bars. Undefined where there is nothing to draw. */
export function chartOf(result: ScenarioResult): string | undefined {
  return result.chart === undefined ? barChart(result) : curveChart(result, result.chart);
}
