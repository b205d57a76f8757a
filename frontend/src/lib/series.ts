import type { BoundPoint } from "./types";

/**
 * The two bounds over time, gathered from messages that may come twice, late, or not at all.
 *
 * Points are taken over in the order of their numbers. One that comes before its predecessor waits until the hole is filled;
 * `missing` says that there is a hole, to be filled from REST with `merge(points, true)`.
 */
export class BoundSeries {
  readonly seconds: number[] = [];
  readonly lower: number[] = [];
  readonly upper: (number | null)[] = [];
  private taken = 0;
  private known = 0;
  private waiting = new Map<number, BoundPoint>();

  /** The highest number up to which nothing is missing. Ask the server for what comes after it. */
  get reached(): number {
    return this.taken;
  }

  /** Whether the server has told of a point that has not arrived. */
  get missing(): boolean {
    return this.known > this.taken;
  }

  get length(): number {
    return this.seconds.length;
  }

  /** The server says that its last point has this number. */
  announce(number: number): void {
    this.known = Math.max(this.known, number);
  }

  /**
   * Take points over; those already here are ignored. `complete`: they are everything that the server has after `reached`, so
   * a number that is not among them does not exist. Returns whether the series grew.
   */
  merge(points: readonly BoundPoint[], complete = false): boolean {
    const before = this.taken;
    for (const point of points) {
      if (point.number > this.taken) this.waiting.set(point.number, point);
      this.announce(point.number);
    }
    if (complete) {
      const last = points.reduce((highest, point) => Math.max(highest, point.number), 0);
      const numbers = [...this.waiting.keys()].filter((number) => number <= last).sort((a, b) => a - b);
      for (const number of numbers) this.take(number);
    }
    while (this.waiting.has(this.taken + 1)) this.take(this.taken + 1);
    return this.taken > before;
  }

  private take(number: number): void {
    const point = this.waiting.get(number);
    if (!point) return;
    this.waiting.delete(number);
    this.taken = number;
    this.seconds.push(point.seconds);
    this.lower.push(point.lower);
    this.upper.push(point.upper);
  }
}
