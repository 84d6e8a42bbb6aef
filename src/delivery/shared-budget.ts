/** Room that no event announces is looked for so often while somebody waits for it. */
const LOOK_EVERY_MS = 250;

/** What the owner of a share does for it. */
export interface ShareHooks {
  /** Its turn has come: it may take what it waited for, or not. Must not throw. */
  readonly onRoom: () => void;
  /** Gives back what it has and cannot use at present, as others wait for it. */
  readonly giveUp?: () => void;
}

/** The part that one lane has of a bound in bytes. */
export interface BudgetShare {
  /**
   * Takes so many bytes, and returns true; or none, and `onRoom` is called when there may be room. Who waits is served in
   * order, one `take` each. What is larger than all of the bound fits when nothing else is there.
   */
  take(bytes: number): boolean;
  /** Takes them if there is room and nobody waits for it, or else does not wait. */
  takeIfFree(bytes: number): boolean;
  /** Takes them whatever there is room for: they are in memory already. */
  force(bytes: number): void;
  give(bytes: number): void;
  /** True while all of the bound is in use; `onRoom` is called when it is not any more. */
  isSpent(): boolean;
  /** True while others wait for room. */
  readonly isContended: boolean;
  /** Gives all back; it takes nothing any more and does not wait. */
  close(): void;
}

/** A bound in bytes that all lanes share, in order of asking. No lane can take it all from the others for long. */
export class SharedBudget {
  readonly #maxBytes: number;
  readonly #shares = new Set<Share>();
  readonly #line: Share[] = [];
  /** Who may take now although others wait. */
  #turn: Share | undefined;
  #isServing = false;
  #timer: NodeJS.Timeout | undefined;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** In use, over all lanes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  share(hooks: ShareHooks): BudgetShare {
    const share = new Share(this, hooks);
    this.#shares.add(share);
    return share;
  }

  /** For shares, as are all others. */
  take(share: Share, bytes: number): boolean {
    const mayGo = this.#line.length === 0 || share === this.#turn;
    if (mayGo && this.#fits(bytes)) {
      this.#turn = undefined;
      this.#usedBytes += bytes;
      return true;
    }
    this.wait(share);
    return false;
  }

  takeIfFree(bytes: number): boolean {
    if (this.#line.length > 0 || !this.#fits(bytes)) return false;
    this.#usedBytes += bytes;
    return true;
  }

  add(bytes: number): void {
    this.#usedBytes += bytes;
    if (bytes < 0 && this.#line.length > 0) this.#serveSoon();
  }

  get isSpent(): boolean {
    return this.#usedBytes >= this.#maxBytes;
  }

  get isContended(): boolean {
    return this.#line.length > 0;
  }

  wait(share: Share): void {
    if (share.isWaiting) return;
    share.isWaiting = true;
    // Whose turn it is keeps its place: what is large would never find room behind others.
    if (share === this.#turn) this.#line.unshift(share);
    else this.#line.push(share);
    this.#turn = undefined;
    this.#lookLater();
  }

  remove(share: Share): void {
    this.#shares.delete(share);
    if (share.isWaiting) this.#line.splice(this.#line.indexOf(share), 1);
    share.isWaiting = false;
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes;
  }

  /** Later, never from within a lane: what is served may publish. */
  #serveSoon(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    queueMicrotask(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  #serve(): void {
    while (!this.isSpent) {
      const share = this.#line.shift();
      if (share === undefined) return;
      share.isWaiting = false;
      this.#turn = share;
      share.hooks.onRoom();
      this.#turn = undefined;
      if (share === this.#line[0]) return; // it did not fit
    }
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#line.length === 0) return;
    for (const share of this.#shares) if (share.heldBytes > 0) share.hooks.giveUp?.();
    this.#serve();
    if (this.#line.length > 0) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer ??= setTimeout(() => this.#look(), LOOK_EVERY_MS).unref();
  }
}

class Share implements BudgetShare {
  readonly #budget: SharedBudget;
  readonly hooks: ShareHooks;
  heldBytes = 0;
  isWaiting = false;
  #isClosed = false;

  constructor(budget: SharedBudget, hooks: ShareHooks) {
    this.#budget = budget;
    this.hooks = hooks;
  }

  get isContended(): boolean {
    return this.#budget.isContended;
  }

  take(bytes: number): boolean {
    if (this.#isClosed || !this.#budget.take(this, bytes)) return false;
    this.heldBytes += bytes;
    return true;
  }

  takeIfFree(bytes: number): boolean {
    if (this.#isClosed || !this.#budget.takeIfFree(bytes)) return false;
    this.heldBytes += bytes;
    return true;
  }

  force(bytes: number): void {
    if (this.#isClosed) return;
    this.heldBytes += bytes;
    this.#budget.add(bytes);
  }

  give(bytes: number): void {
    const given = Math.min(bytes, this.heldBytes);
    if (given === 0) return;
    this.heldBytes -= given;
    this.#budget.add(-given);
  }

  isSpent(): boolean {
    if (!this.#budget.isSpent || this.#isClosed) return false;
    this.#budget.wait(this);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#budget.remove(this);
    this.give(this.heldBytes);
  }
}
