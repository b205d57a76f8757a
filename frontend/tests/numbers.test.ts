import { expect, test } from "vitest";
import { bytesText, countText, durationText, lowerText, percentText, ratioText, shareText, upperText } from "../src/lib/numbers";

test("a proven radius is rounded down and a found one up", () => {
  expect(lowerText(0.123456)).toBe("0.1234");
  expect(upperText(0.123456)).toBe("0.1235");
  expect(lowerText(9.9999)).toBe("9.999");
  expect(upperText(9.9999)).toBe("10.00");
});

test("a number with four digits is written as it is", () => {
  expect(lowerText(0.3)).toBe("0.3000");
  expect(upperText(0.3)).toBe("0.3000");
  expect(lowerText(0)).toBe("0");
});

test("no rounding ever makes a bound or a ratio better than it is", () => {
  let state = 12345;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let index = 0; index < 5000; index += 1) {
    const value = 10 ** (random() * 14 - 8);
    expect(Number(lowerText(value))).toBeLessThanOrEqual(value);
    expect(Number(upperText(value))).toBeGreaterThanOrEqual(value);
    expect(Number(upperText(value)) / value).toBeLessThan(1.0011);
    expect(Number(lowerText(value)) / value).toBeGreaterThan(0.9989);
    const upper = value * (1 + random());
    expect(Number(ratioText(value, upper))).toBeGreaterThanOrEqual(upper / value);
  }
});

test("large and tiny numbers stay readable", () => {
  expect(upperText(12345.2)).toBe("12346");
  expect(lowerText(12345.9)).toBe("12345");
  expect(lowerText(1.23456e-9)).toBe("1.234e-9");
});

test("there is no ratio before both bounds say something", () => {
  expect(ratioText(0, 5)).toBeNull();
  expect(ratioText(0.5, null)).toBeNull();
  expect(ratioText(0.5, 0.5)).toBe("1.000");
  expect(ratioText(1, 1.0000001)).toBe("1.001");
});

test("only certainty is written 100 %", () => {
  expect(percentText(1)).toBe("100 %");
  expect(percentText(0.999999)).toBe("99.99 %");
  expect(percentText(0.62341)).toBe("62.34 %");
  expect(percentText(0.5)).toBe("50 %");
});

test("durations and sizes are written as people say them", () => {
  expect([4.21, 59.99, 200, 3600, 7500].map(durationText)).toEqual(["4.2 s", "1 min", "3 min 20 s", "1 h", "2 h 5 min"]);
  expect([900, 1500, 8_000_000, 2_300_000_000].map(bytesText)).toEqual(["900 B", "1.5 kB", "8.0 MB", "2.3 GB"]);
});

test("counts have thin spaces between thousands and shares are whole per cent", () => {
  expect(countText(999)).toBe("999");
  expect(countText(1234567)).toBe("1\u2009234\u2009567");
  expect(shareText(0.256)).toBe("26 %");
});
