import { describe, expect, test } from "vitest";
import { columns, fullWindow, tickText, ticks, zoomWindow } from "../src/lib/plot";
import { BoundSeries } from "../src/lib/series";

function seriesOf(...rows: [number, number, number | null][]): BoundSeries {
  const series = new BoundSeries();
  series.merge(
    rows.map(([seconds, lower, upper], index) => ({ number: index + 1, seconds, lower, upper, source: "lower" })),
  );
  return series;
}

describe("the window", () => {
  const series = seriesOf([0.5, 0, null], [1, 0, 40], [3, 0.5, 8]);

  test("shows everything from zero on linear axes", () => {
    const { x, y } = fullWindow(series, 10, "linear", "linear");
    expect(x).toEqual([0, 10]);
    expect(y[0]).toBe(0);
    expect(y[1]).toBeGreaterThan(40);
  });

  test("encloses every positive value on logarithmic axes", () => {
    const { x, y } = fullWindow(series, 10, "log", "log");
    expect(x).toEqual([0.5, 10]);
    expect(y[0]).toBeGreaterThan(0);
    expect(y[0]).toBeLessThan(0.5);
    expect(y[1]).toBeGreaterThan(40);
  });

  test("is drawable before anything is known", () => {
    for (const scale of ["linear", "log"] as const) {
      const { x, y } = fullWindow(new BoundSeries(), 0, scale, scale);
      expect(x[0]).toBeLessThan(x[1]);
      expect(y[0]).toBeLessThan(y[1]);
      if (scale === "log") expect(Math.min(x[0], y[0])).toBeGreaterThan(0);
    }
  });

  test("is drawable when one bound alone is known", () => {
    const { y } = fullWindow(seriesOf([1, 0.2, null]), 5, "log", "log");
    expect(y[0]).toBeLessThan(0.2);
    expect(y[1]).toBeGreaterThan(0.2);
  });
});

describe("the columns", () => {
  test("carry the last bounds on to now", () => {
    const [seconds, upper, lower] = columns(seriesOf([1, 0.1, 5], [2, 0.2, 4]), 7, "linear", "linear", 0);
    expect(seconds).toEqual([1, 2, 7]);
    expect(upper).toEqual([5, 4, 4]);
    expect(lower).toEqual([0.1, 0.2, 0.2]);
  });

  test("are not carried on while points are missing", () => {
    const series = seriesOf([1, 0.1, 5]);
    series.announce(3);
    expect(columns(series, 7, "linear", "linear", 0)[0]).toEqual([1]);
  });

  test("never draw a bound of zero on a logarithmic axis, and shade from the floor", () => {
    const [, , lower, bottom] = columns(seriesOf([1, 0, 5], [2, 0.3, 4]), 2, "linear", "log", 0.05);
    expect(lower).toEqual([null, 0.3]);
    expect(bottom).toEqual([0.05, 0.3]);
  });

  test("keep the earliest moments on a logarithmic time axis", () => {
    expect(columns(seriesOf([0, 0.1, 5], [2, 0.1, 4]), 2, "log", "linear", 0)[0]).toEqual([0.1, 2]);
  });

  test("do not change the series", () => {
    const series = seriesOf([1, 0, 5]);
    columns(series, 9, "log", "log", 0.1);
    expect(series.seconds).toEqual([1]);
    expect(series.lower).toEqual([0]);
  });
});

describe("ticks", () => {
  test("are round and inside the window", () => {
    expect(ticks(0, 60, "linear", 6)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(ticks(0.13, 0.31, "linear", 4)).toEqual([0.15, 0.2, 0.25, 0.3]);
  });

  test("are powers of ten over many decades", () => {
    expect(ticks(0.001, 1000, "log", 7)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000]);
    expect(ticks(1e-9, 1e9, "log", 6).length).toBeLessThanOrEqual(8);
  });

  test("exist on a logarithmic axis narrower than a decade", () => {
    expect(ticks(0.15, 0.28, "log", 5).length).toBeGreaterThanOrEqual(3);
  });

  test("are written short", () => {
    expect([0, 0.1, 1000, 1e-7, 2e6].map(tickText)).toEqual(["0", "0.1", "1000", "1e-7", "2e6"]);
  });
});

test("a drag of a few pixels is a click and zooms nowhere", () => {
  const pixels = { width: 3, height: 2 };
  expect(zoomWindow([1, 2], [1, 2], pixels)).toBeNull();
  expect(zoomWindow([2, 1], [5, 3], { width: 80, height: 40 })).toEqual({ x: [1, 2], y: [3, 5] });
});
