/**
 * Plays what the overlay did, one beat after the other, before the new state is shown.
 *
 * A beat ends when its animation does, or at a key when it is stepped through. Skipping ends all that wait.
 */
import type { OvlEvent } from "../driver/driver";

export interface Beat {
  event: OvlEvent;
  /** The layer that it comes from, of a copy-up. */
  from?: string | undefined;
  sentence: string;
}

/** More than this at once is told in one sentence, not shown. */
export const MOST = 12;

export class Player {
  current = $state.raw<Beat | undefined>();
  waiting = $state(0);
  /** How many times slower: 0 shows nothing. */
  slow = $state(1);
  stepping = $state(false);
  private end: (() => void) | undefined;
  private skipping = false;

  async play(beats: Beat[], say: (sentence: string) => void): Promise<void> {
    this.skipping = false;
    for (const [at, beat] of beats.entries()) {
      say(beat.sentence);
      if (this.skipping || this.slow === 0) continue;
      this.waiting = beats.length - at - 1;
      this.current = beat;
      await new Promise<void>((done) => (this.end = done));
    }
    this.current = undefined;
    this.waiting = 0;
  }

  /** The animation of the current beat is over. */
  arrived(): void {
    if (!this.stepping) this.next();
  }

  next(): void {
    this.end?.();
    this.end = undefined;
  }

  skip(): void {
    this.skipping = true;
    this.next();
  }
}
