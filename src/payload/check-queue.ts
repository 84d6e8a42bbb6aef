import type { DeviceMessage } from '../shared/message.ts';
import { CheckingProcess, type ProcessProgram } from './checking-process.ts';
import { type CheckResult, type CheckTask, tookTooLong } from './protocol.ts';
import type { PayloadRule } from './rule.ts';
import { TimeLimit } from './time-limit.ts';

/** Sent to the process at a time: enough that the way there costs little, little enough to be tried again one by one. */
const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1024 * 1024;

/** The process tells results every 10 ms; on top of that the time of one message counts. */
const TELLING_MS = 50;

/** Time it has to start. A small machine under load takes seconds. */
const START_LIMIT_MS = 30_000;

/** Pause before it is started again when it did not become ready; doubles. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 10_000;

/** Memory that one held message takes beside its payload, roughly. */
const HELD_OVERHEAD_BYTES = 512;

/** What became of one message; `closed`: the gateway stops, and it was not checked. */
export type CheckOutcome = CheckResult | { readonly kind: 'closed' };

/** Called once for each message, in their order. */
export type Checked = (outcome: CheckOutcome) => void;

export interface CheckQueueParts {
  /** Of the mappings whose messages come here. */
  readonly rules: readonly PayloadRule[];
  readonly program?: ProcessProgram;
  /** The process ended or was ended, and is started again. */
  readonly onTrouble: (reason: string) => void;
}

interface Entry {
  readonly task: CheckTask;
  readonly checked: Checked;
  readonly timeoutMs: number;
  /** The process did not come back from a batch in which it was: it is tried again alone. */
  suspect: boolean;
}

/**
 * The way of messages through one checking process, in order. A message from which the process does not come back in
 * time, or at all, is found by trying those in question again, each alone; it fails, and those behind it go on.
 */
export class CheckQueue {
  readonly #parts: CheckQueueParts;
  #process: CheckingProcess | undefined;
  #isReady = false;
  /** It is ended for taking too long: nothing it says counts any more. */
  #isKilled = false;
  /** And it is certain that it computed all the time. */
  #isProven = false;
  #waiting: Entry[] = [];
  /** The batch in the process, as far as it is not answered. */
  #sent: Entry[] = [];
  #heldBytes = 0;
  readonly #limit: TimeLimit;
  #starting: NodeJS.Timeout | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #pumping: NodeJS.Immediate | undefined;
  #restartMs = RESTART_MIN_MS;
  #isClosed = false;

  constructor(parts: CheckQueueParts) {
    this.#parts = parts;
    this.#limit = new TimeLimit({
      cpuMs: () => this.#process?.cpuMs(),
      onOver: (isProven) => this.#kill(isProven),
    });
  }

  /** Memory of the messages that are not checked yet, roughly. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  start(): void {
    const { rules, program } = this.#parts;
    const checking = new CheckingProcess({
      rules,
      ...(program === undefined ? {} : { program }),
      onReady: () => this.#ready(),
      onResults: (results) => this.#answered(results),
      onEnd: (how) => this.#ended(how),
    });
    this.#process = checking;
    this.#isKilled = false;
    this.#starting = setTimeout(() => this.#kill(false), START_LIMIT_MS);
    checking.start();
  }

  /** Checks the message by that rule. What arrives in one turn of the event loop goes to the process together. */
  check(rule: number, message: DeviceMessage, checked: Checked): void {
    if (this.#isClosed) {
      checked({ kind: 'closed' });
      return;
    }
    const { topic, payload, clientId, username, receivedAtMs } = message;
    const rest = { ...(username === undefined ? {} : { username }), receivedAtMs };
    const timeoutMs = this.#parts.rules[rule]?.timeoutMs ?? 0;
    const task = { rule, topic, payload, clientId, ...rest };
    this.#waiting.push({ task, checked, timeoutMs, suspect: false });
    this.#heldBytes += payload.length + HELD_OVERHEAD_BYTES;
    if (this.#sent.length > 0 || !this.#isReady) return;
    this.#pumping ??= setImmediate(() => this.#pump());
  }

  /** Ends the process. What is not checked is told `closed`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#limit.end();
    clearTimeout(this.#starting);
    clearTimeout(this.#restarting);
    clearImmediate(this.#pumping);
    const unchecked = [...this.#sent, ...this.#waiting];
    this.#sent = [];
    this.#waiting = [];
    for (const entry of unchecked) this.#settle(entry, { kind: 'closed' });
    await this.#process?.close();
  }

  #ready(): void {
    if (this.#isKilled) return;
    clearTimeout(this.#starting);
    this.#isReady = true;
    this.#restartMs = RESTART_MIN_MS;
    this.#pump();
  }

  #pump(): void {
    this.#pumping = undefined;
    if (!this.#isReady || this.#sent.length > 0 || this.#waiting.length === 0) return;
    this.#sent = this.#waiting.splice(0, this.#batchLength());
    this.#process?.check(this.#sent.map(({ task }) => task));
    this.#limitBatch();
  }

  #batchLength(): number {
    if (this.#waiting[0]?.suspect === true) return 1;
    let bytes = 0;
    let length = 0;
    for (const { task, suspect } of this.#waiting) {
      bytes += task.payload.length + task.topic.length;
      if (length === BATCH_MESSAGES || suspect || (length > 0 && bytes > BATCH_BYTES)) break;
      length += 1;
    }
    return length;
  }

  #answered(results: readonly CheckResult[]): void {
    if (this.#isKilled) return;
    this.#limit.end();
    const answered = this.#sent.slice(0, results.length);
    this.#sent = this.#sent.slice(results.length);
    for (const [index, entry] of answered.entries()) {
      const result = results[index];
      if (result !== undefined) this.#settle(entry, result);
    }
    if (this.#sent.length > 0) this.#limitBatch();
    else this.#pump();
  }

  #settle(entry: Entry, outcome: CheckOutcome): void {
    this.#heldBytes -= entry.task.payload.length + HELD_OVERHEAD_BYTES;
    entry.checked(outcome);
  }

  /** Which of the batch is in hand is not known, so each has the time of the slowest. */
  #limitBatch(): void {
    this.#limit.begin(Math.max(...this.#sent.map(({ timeoutMs }) => timeoutMs)) + TELLING_MS);
  }

  #kill(isProven: boolean): void {
    this.#isKilled = true;
    this.#isProven = isProven;
    this.#process?.kill();
  }

  #ended(how: string): void {
    this.#limit.end();
    clearTimeout(this.#starting);
    const wasReady = this.#isReady;
    this.#isReady = false;
    const inQuestion = this.#sent;
    this.#sent = [];
    const [only] = inQuestion;
    const isSure = only?.suspect === true || (this.#isKilled && this.#isProven);
    if (only !== undefined && inQuestion.length === 1 && isSure)
      this.#settle(only, this.#isKilled ? tooLate(only) : crashed(how));
    else {
      for (const entry of inQuestion) entry.suspect = true;
      this.#waiting = [...inQuestion, ...this.#waiting];
    }
    this.#parts.onTrouble(this.#isKilled ? 'ended: it took too long' : `it ended (${how})`);
    if (wasReady) this.start();
    else this.#restartLater();
  }

  #restartLater(): void {
    this.#restarting = setTimeout(() => this.start(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_MAX_MS);
  }
}

function tooLate({ timeoutMs }: Entry): CheckResult {
  return { kind: 'failed', reason: 'payload_timeout', detail: tookTooLong(timeoutMs) };
}

function crashed(how: string): CheckResult {
  const detail = `ended the process that checks payloads, twice (${how}): too much memory, most likely`;
  return { kind: 'failed', reason: 'payload_crashed', detail };
}
