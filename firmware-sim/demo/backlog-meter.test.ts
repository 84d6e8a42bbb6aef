import { expect, test } from 'vitest';
import { backlogIn } from './backlog-meter.ts';

const METRICS = `# HELP tidegate_lane_backlog_messages Stored and not settled.
# TYPE tidegate_lane_backlog_messages gauge
tidegate_lane_backlog_messages{lane="alarms"} 7
tidegate_lane_backlog_messages{gateway="a",lane="telemetry"} 1200
tidegate_lane_backlog_messages_max{lane="telemetry"} 9
`;

test('the backlog of the lane asked for is read, whatever other labels there are', () => {
  expect(backlogIn(METRICS, 'telemetry')).toBe(1200);
  expect(backlogIn(METRICS, 'alarms')).toBe(7);
});

test('a lane or a gauge that is not there has no backlog, not one of 0', () => {
  expect(backlogIn(METRICS, 'other')).toBeUndefined();
  expect(backlogIn('', 'telemetry')).toBeUndefined();
});
