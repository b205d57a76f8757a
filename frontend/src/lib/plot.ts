import type { BoundSeries } from "./series";

/** Pure geometry of the chart: what uPlot is given to draw, over which window, with which ticks. */

export type Scale = "linear" | "log";
export type Range = readonly [number, number];

export interface Window {
  readonly x: Range;
  readonly y: Range;
}

/** Columns for uPlot: seconds, upper, lower, and the floor of the shaded gap. */
export type Columns = [number[], (number | null)[], (number | null)[], (number | null)[]];

/** The first moment that a logarithmic time axis shows, in seconds. */
const FIRST_MOMENT = 0.1;

const finitePositive = (value: number | null): value is number => value !== null && Number.isFinite(value) && value > 0;

/** The smallest and largest positive value of both bounds; they are monotone, so the ends suffice. */
function extent(series: BoundSeries): Range | null {
  const lowest = series.lower.find(finitePositive) ?? series.upper.at(-1) ?? null;
  const highest = series.upper.find(finitePositive) ?? series.lower.at(-1) ?? null;
  if (!finitePositive(lowest) || !finitePositive(highest)) return null;
  return [Math.min(lowest, highest), Math.max(lowest, highest)];
}

/** The window that shows everything up to `elapsed` seconds. */
export function fullWindow(series: BoundSeries, elapsed: number, xScale: Scale, yScale: Scale): Window {
  const end = Math.max(elapsed, series.seconds.at(-1) ?? 0, 1);
  const start = Math.max(FIRST_MOMENT, Math.min(series.seconds[0] ?? 1, end / 2));
  const x: Range = xScale === "log" ? [start, end] : [0, end];
  const values = extent(series);
  if (!values) return { x, y: yScale === "log" ? [0.01, 10] : [0, 1] };
  if (yScale === "linear") return { x, y: [0, values[1] * 1.06] };
  const pad = Math.max((values[1] / values[0]) ** 0.08, 1.25);
  return { x, y: [values[0] / pad, values[1] * pad] };
}

/**
 * The columns to draw. On a logarithmic axis a lower bound of zero has no place and is left out, while the gap is shaded
 * from `floor`, the bottom of the window. The last point is carried on to `elapsed`, because bounds hold until they move;
 * not while points are missing, whose place nobody knows.
 */
export function columns(series: BoundSeries, elapsed: number, xScale: Scale, yScale: Scale, floor: number): Columns {
  const seconds = xScale === "log" ? series.seconds.map((value) => Math.max(value, FIRST_MOMENT)) : series.seconds.slice();
  const upper = series.upper.slice();
  const lower: (number | null)[] =
    yScale === "log" ? series.lower.map((value) => (value > 0 ? value : null)) : series.lower.slice();
  const bottom: (number | null)[] = yScale === "log" ? series.lower.map((value) => Math.max(value, floor)) : series.lower.slice();
  if (seconds.length > 0 && !series.missing && elapsed > (seconds.at(-1) ?? 0)) {
    seconds.push(elapsed);
    for (const column of [upper, lower, bottom]) column.push(column.at(-1) ?? null);
  }
  return [seconds, upper, lower, bottom];
}

/** Round tick values within [min, max], at most about `count`. */
export function ticks(min: number, max: number, scale: Scale, count: number): number[] {
  if (scale === "log" && max / min >= 20) return logTicks(min, max, count);
  return linearTicks(min, max, count);
}

function linearTicks(min: number, max: number, count: number): number[] {
  const rough = (max - min) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const found: number[] = [];
  for (let index = Math.ceil(min / step - 1e-9); index * step <= max * (1 + 1e-12); index += 1) {
    found.push(Number((index * step).toFixed(Math.min(digits, 100))));
  }
  return found;
}

function logTicks(min: number, max: number, count: number): number[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  const decades = last - first;
  const factors = decades * 3 <= count * 1.5 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const found: number[] = [];
  for (let power = first; power <= last; power += stride) {
    for (const factor of factors) {
      const value = Number(`${factor}e${power}`);
      if (value >= min && value <= max) found.push(value);
    }
  }
  return found;
}

/** A tick without needless digits. */
export function tickText(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential().replace("e+", "e") : String(Number(value.toPrecision(6)));
}

/** Where a window dragged by the mouse lies, kept inside what can be shown; null when it is too small to mean a zoom. */
export function zoomWindow(x: Range, y: Range, pixels: { width: number; height: number }): Window | null {
  if (pixels.width < 6 && pixels.height < 6) return null;
  const ordered = (range: Range): Range => [Math.min(...range), Math.max(...range)];
  const window = { x: ordered(x), y: ordered(y) };
  return window.x[0] < window.x[1] && window.y[0] < window.y[1] ? window : null;
}
