/** Lanes that open at once. More make the broker no faster, and the first lanes wait for all others. */
const MOST_AT_ONCE = 64;
/** One that takes longer waits for the broker or the link, and holds up nobody. */
const TURN_MS = 250;

/**
 * Lets lanes open their channels some at a time, in the order in which they ask. A turn ends by itself after a while: a lane
 * that the broker leaves without an answer must not keep others from opening.
 */
export class OpeningTurns {
  #underWay = 0;
  readonly #waiting: Set<() => void> = new Set();

  /** Resolves with what ends the turn when it is that of the caller, or at once when the signal is or becomes aborted. */
  take(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.delete(begin);
        resolve(() => undefined);
      };
      const begin = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(this.#begin());
      };
      if (signal.aborted) leave();
      else if (this.#underWay < MOST_AT_ONCE) begin();
      else {
        this.#waiting.add(begin);
        signal.addEventListener('abort', leave, { once: true });
      }
    });
  }

  #begin(): () => void {
    this.#underWay += 1;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(limit);
      this.#underWay -= 1;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    };
    const limit = setTimeout(end, TURN_MS);
    return end;
  }
}
