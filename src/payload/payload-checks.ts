import type { DeviceMessage } from '../shared/message.ts';
import { type Checked, CheckQueue } from './check-queue.ts';
import type { ProcessProgram } from './checking-process.ts';
import type { PayloadRule } from './rule.ts';

/**
 * Most processes. Each takes memory of its own (docs/mappings.md says how much); a mapping beyond them shares one, and
 * so the delay that a bad payload of the other makes.
 */
const MAX_PROCESSES = 4;

/** What one lane asks of its payloads. */
export interface PayloadCheck {
  /** So much waits to be checked that nothing more should be accepted. */
  readonly isFull: boolean;
  /** Resolves nothing: `checked` is called, once and in the order of the calls, for all of the lane. */
  check(message: DeviceMessage, checked: Checked): void;
}

export interface PayloadChecksParts {
  readonly rules: readonly PayloadRule[];
  /** Most memory of messages that wait to be checked, in equal parts for the processes. */
  readonly maxHeldBytes: number;
  readonly program?: ProcessProgram;
  /** A process ended or was ended, and is started again. `mappings` are those it checks. */
  readonly onTrouble: (mappings: readonly string[], reason: string) => void;
}

/** The checks of all mappings that have one, each in a process that it shares with as few others as may be. */
export class PayloadChecks {
  /** By name of the mapping; those that take payloads as they are have none. */
  readonly byLane: ReadonlyMap<string, PayloadCheck>;
  readonly #queues: readonly CheckQueue[];

  constructor({ rules, maxHeldBytes, onTrouble, ...rest }: PayloadChecksParts) {
    const shares: PayloadRule[][] = [];
    for (const [index, rule] of rules.entries()) {
      const share = shares[index % MAX_PROCESSES];
      if (share === undefined) shares.push([rule]);
      else share.push(rule);
    }
    const mostBytes = maxHeldBytes / shares.length;
    const byLane = new Map<string, PayloadCheck>();
    this.#queues = shares.map((share) => {
      const names = share.map(({ name }) => name);
      const tell = (reason: string): void => onTrouble(names, reason);
      const queue = new CheckQueue({ rules: share, onTrouble: tell, ...rest });
      for (const [index, name] of names.entries()) {
        byLane.set(name, {
          get isFull(): boolean {
            return queue.heldBytes >= mostBytes;
          },
          check: (message, checked) => queue.check(index, message, checked),
        });
      }
      return queue;
    });
    this.byLane = byLane;
  }

  /** Starts the processes. Messages may come before they are ready; they wait. */
  start(): void {
    for (const queue of this.#queues) queue.start();
  }

  /** Ends them; what is not checked by then is told `closed`. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.close()));
  }
}
