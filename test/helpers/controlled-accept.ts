import type { DeviceMessage } from '../../src/shared/message.ts';
import type { Receipt } from '../../src/shared/receipt.ts';
import { eventually } from './eventually.ts';

const PATIENCE_MS = 5000;

/** One message whose safety the test decides. */
export interface AcceptedMessage {
  readonly message: DeviceMessage;
  /** Makes it safe. */
  safe(): void;
  refuse(): void;
}

/** An `accept` that holds every message back until the test decides, or takes each at once. */
export class ControlledAccept {
  readonly calls: AcceptedMessage[] = [];
  readonly #immediately: boolean;

  constructor(options: { readonly immediately?: boolean } = {}) {
    this.#immediately = options.immediately ?? false;
  }

  readonly accept = (message: DeviceMessage, receipt: Receipt): void => {
    this.calls.push({
      message,
      safe: () => receipt.safe(),
      refuse: () => receipt.unsafe(new Error('not safe')),
    });
    if (this.#immediately) receipt.safe();
  };

  get topics(): string[] {
    return this.calls.map(({ message }) => message.topic);
  }

  /** The n-th call, from 1, as soon as it is there. */
  call(n: number): Promise<AcceptedMessage> {
    return eventually(
      () => {
        const call = this.calls[n - 1];
        if (call === undefined) throw new Error(`${this.calls.length} calls, not ${n}`);
        return call;
      },
      { withinMs: PATIENCE_MS, everyMs: 2 },
    );
  }
}
