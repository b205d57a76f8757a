/** The radius line: proven from the left, found from the right, on one logarithmic scale. Positions are fractions of its width. */

export interface Ruler {
  readonly lower: number | null;
  readonly upper: number | null;
  readonly ticks: readonly { at: number; value: number }[];
}

/** Place both bounds between whole powers of ten, with at least one decade of room. */
export function ruler(lower: number, upper: number | null): Ruler {
  const known = [lower, upper].filter((value): value is number => value !== null && value > 0);
  if (known.length === 0) return { lower: null, upper: null, ticks: [] };
  let first = Math.floor(Math.log10(Math.min(...known)) - 0.15);
  const last = Math.ceil(Math.log10(Math.max(...known)) + 0.15);
  if (last - first < 2) first = last - 2;
  const place = (value: number): number => (Math.log10(value) - first) / (last - first);
  const stride = Math.max(1, Math.ceil((last - first) / 6));
  const ticks = [];
  for (let power = first; power <= last; power += stride) {
    const value = Number(`1e${power}`);
    ticks.push({ at: place(value), value });
  }
  return { lower: lower > 0 ? place(lower) : null, upper: upper !== null && upper > 0 ? place(upper) : null, ticks };
}
