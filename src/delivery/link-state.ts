/** Whether the lane's way to the broker is open, and why not. */
export class LinkState {
  #isOpen = false;
  #why: string | undefined = 'not connected yet';

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why nothing may be published; undefined when it may. */
  get closedBy(): string | undefined {
    return this.#why;
  }

  get mayPublish(): boolean {
    return this.#why === undefined;
  }

  opened(): void {
    this.#isOpen = true;
    this.#why = undefined;
  }

  closed(reason: string): void {
    this.#isOpen = false;
    this.#why = reason;
  }

  /** RabbitMQ sends connection.blocked for a memory or disk alarm; the link stays open. */
  blocked(reason: string): void {
    this.#why = `blocked by the broker: ${reason}`;
  }

  unblocked(): void {
    if (this.#isOpen) this.#why = undefined;
  }
}
