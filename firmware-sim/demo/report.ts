import type { LedgerVerdict } from '../../test/helpers/ledger.ts';
import type { FleetTally } from '../tally.ts';

export interface Outcome {
  readonly verdict: LedgerVerdict;
  readonly tally: FleetTally;
  /** Messages in the queue that are no reading of the fleet. */
  readonly strangers: number;
  /** Largest backlog seen in the gateway's metrics; 0 if it was never seen. */
  readonly peakBacklog: number;
  /** A few lost messages by name. */
  readonly examplesOfLost: readonly string[];
}

/** True when nothing that was acknowledged is missing, and no consumer that dedupes by message-id would miss it. */
export function isProven({ verdict }: Outcome): boolean {
  return verdict.lost === 0 && verdict.confused === 0 && verdict.acknowledged > 0;
}

/** The table and the verdict, as lines. */
export function report(outcome: Outcome): string {
  const rows = rowsOf(outcome).map(
    ([name, count, meaning]) => `  ${name.padEnd(20)}${String(count).padStart(8)}   ${meaning}`,
  );
  return [...rows, '', verdictOf(outcome)].join('\n');
}

function rowsOf({ verdict, tally, strangers, peakBacklog }: Outcome): [string, number, string][] {
  return [
    ['sent', tally.sent, 'put on the wire by a device'],
    ['acknowledged', verdict.acknowledged, 'PUBACK received: the gateway has promised'],
    ['delivered', verdict.delivered, 'different messages taken from the queue'],
    ['lost', verdict.lost, 'acknowledged and not delivered'],
    ['redelivered', verdict.redelivered, 'the same message-id again, by the gateway'],
    [
      'resent by devices',
      verdict.resent,
      'the same counter under a new message-id: its PUBACK got lost',
    ],
    ['out of order', verdict.reordered, 'first arrivals behind a later one of the same device'],
    ['message-id reused', verdict.confused, 'one message-id on two messages'],
    ['unexpected', verdict.unexpected + strangers, 'in the queue, sent by no device'],
    ['dropped by devices', tally.dropped, 'never sent: a device had no memory left'],
    ['largest backlog', peakBacklog, 'messages waiting in the gateway'],
  ];
}

function verdictOf(outcome: Outcome): string {
  const { verdict, tally, examplesOfLost } = outcome;
  if (verdict.acknowledged === 0) return 'NOT PROVEN: the gateway has acknowledged nothing.';
  if (verdict.confused > 0) return 'NOT PROVEN: a message-id stood on two different messages.';
  if (verdict.lost > 0) {
    const examples = examplesOfLost.join(', ');
    return `LOST: ${verdict.lost} of ${verdict.acknowledged} acknowledged messages were not delivered, such as ${examples}.`;
  }
  const rest =
    tally.unacknowledged === 0 ? '' : ` (${tally.unacknowledged} were never acknowledged.)`;
  const order = verdict.reordered === 0 ? 'in order' : `but ${verdict.reordered} out of order`;
  return `NOTHING LOST: all ${verdict.acknowledged} acknowledged messages were delivered, ${order}, although the uplink was cut and the gateway killed.${rest}`;
}
