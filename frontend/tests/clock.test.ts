import { expect, test } from "vitest";
import { corrected } from "../src/lib/clock";

test("a record that lies a moment behind does not turn the clock back", () => {
  expect(corrected(17.2, 10.1)).toBe(17.2);
  expect(corrected(17.2, 17.9)).toBe(17.9);
});

test("time in which nobody worked is taken back", () => {
  expect(corrected(40.7, 15.3)).toBe(15.3);
});
