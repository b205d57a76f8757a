import { expect, test } from "vitest";
import { BoundSeries } from "../src/lib/series";
import type { BoundPoint } from "../src/lib/types";

const point = (number: number): BoundPoint => ({
  number,
  seconds: number / 10,
  lower: number,
  upper: 100 - number,
  source: "lower",
});
const points = (...numbers: number[]): BoundPoint[] => numbers.map(point);

test("points are appended in order", () => {
  const series = new BoundSeries();
  expect(series.merge(points(1, 2, 3))).toBe(true);
  expect(series.lower).toEqual([1, 2, 3]);
  expect(series.seconds).toEqual([0.1, 0.2, 0.3]);
  expect(series.reached).toBe(3);
  expect(series.missing).toBe(false);
});

test("a point that comes twice counts once", () => {
  const series = new BoundSeries();
  series.merge(points(1, 2));
  expect(series.merge(points(1, 2))).toBe(false);
  expect(series.merge(points(2, 3))).toBe(true);
  expect(series.lower).toEqual([1, 2, 3]);
});

test("a point without its predecessor waits for it", () => {
  const series = new BoundSeries();
  series.merge(points(1, 4));
  expect(series.lower).toEqual([1]);
  expect(series.missing).toBe(true);
  series.merge(points(3));
  expect(series.lower).toEqual([1]);
  series.merge(points(2));
  expect(series.lower).toEqual([1, 2, 3, 4]);
  expect(series.missing).toBe(false);
});

test("an announced number without its point is missing until it comes", () => {
  const series = new BoundSeries();
  series.merge(points(1, 2));
  series.announce(5);
  expect(series.missing).toBe(true);
  expect(series.reached).toBe(2);
  series.merge(points(3, 4, 5), true);
  expect(series.missing).toBe(false);
});

test("a complete answer settles which numbers exist", () => {
  const series = new BoundSeries();
  series.merge(points(1));
  series.merge(points(7));
  series.merge(points(3, 5, 7), true);
  expect(series.lower).toEqual([1, 3, 5, 7]);
  expect(series.missing).toBe(false);
});

test("a complete answer leaves what came after it to the next one", () => {
  const series = new BoundSeries();
  series.merge(points(9));
  series.merge(points(1, 2, 3), true);
  expect(series.lower).toEqual([1, 2, 3]);
  expect(series.missing).toBe(true);
  series.merge(points(4, 5, 6, 7, 8), true);
  expect(series.reached).toBe(9);
});

test("an unknown upper bound stays unknown", () => {
  const series = new BoundSeries();
  series.merge([{ ...point(1), upper: null }, point(2)]);
  expect(series.upper).toEqual([null, 98]);
});

test("fifty thousand points in pieces, shuffled within, lose none and take less than a second", () => {
  const series = new BoundSeries();
  const began = performance.now();
  for (let first = 1; first <= 50_000; first += 100) {
    const piece = Array.from({ length: 100 }, (_, index) => point(first + index));
    series.merge(piece.reverse());
  }
  expect(series.length).toBe(50_000);
  expect(series.lower.every((value, index) => value === index + 1)).toBe(true);
  expect(performance.now() - began).toBeLessThan(1000);
});
