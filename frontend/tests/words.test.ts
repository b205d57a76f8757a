import { expect, test } from "vitest";
import { errorText } from "../src/lib/api";
import { ruler } from "../src/lib/ruler";
import type { Verification } from "../src/lib/types";
import { foundGrey, provenGrey, unitText } from "../src/lib/units";
import { chartSummary, missingCertificate, noUpperWords, statusMeaning, stopWords } from "../src/lib/words";

const verification = (fields: Partial<Verification>): Verification =>
  ({ status: "running", norm: "l2", distance_unit: "px", lower: 0, upper: null, ...fields }) as Verification;

test("an upper bound that is unknown is said to be so, and why", () => {
  expect(noUpperWords(verification({}))).toBe("no adversarial example found yet");
  expect(noUpperWords(verification({ status: "exhausted" }))).toBe("no adversarial example was found");
  expect(noUpperWords(verification({ status: "certified" }))).toContain("none exists");
});

test("the chart is described without sight of it", () => {
  expect(chartSummary(verification({}), 1)).toBe(
    "Bounds after 1.0 s: no radius proven so far; no adversarial example found yet.",
  );
  expect(chartSummary(verification({ lower: 0.5, upper: 2 }), 60)).toBe(
    "Bounds after 1 min: proven up to a radius of 0.5000 px in L2; class changed at 2.000 px, a factor of 4.000 apart.",
  );
});

test("pixel values are never called pixels of flow", () => {
  const asked = verification({ distance_unit: "value", norm: "linf", lower: 0.25, upper: 0.3 });
  expect(chartSummary(asked, 60)).toBe(
    "Bounds after 1 min: proven up to a radius of 0.2500 (63.75 grey levels) in L∞; class changed at 0.3000 (76.50 grey levels), a factor of 1.200 apart.",
  );
  expect([unitText("px"), unitText("value")]).toEqual(["px", "pixel value"]);
  expect([provenGrey(0.1, "px"), foundGrey(1 / 255, "value")]).toEqual(["", "1.000 grey levels"]);
});

test("while the certificate is written the page says that the bounds are final", () => {
  const explained = { command: "", about: "", checking: "", whyLess: "", writing: "Being written.", waiting: "It will come." };
  const searching = verification({ certifying: false, uncertified: "" });
  const writing = verification({ certifying: true, uncertified: "" });
  expect(statusMeaning(searching)).toContain("can only get tighter");
  expect(statusMeaning(writing)).toContain("The bounds are final");
  expect([stopWords(searching), stopWords(writing)]).toEqual(["Cancel, keep bounds", "Stop, without certificate"]);
  expect(missingCertificate(searching, explained)).toBe("It will come.");
  expect(missingCertificate(writing, explained)).toBe("Being written.");
  const without = verification({ status: "exhausted", uncertified: "Nothing is proven." });
  expect(missingCertificate(without, explained)).toBe("None. Nothing is proven.");
});

test("the ruler keeps both bounds inside and in order", () => {
  const marks = ruler(0.0123, 4.5);
  expect(marks.lower).toBeGreaterThan(0);
  expect(marks.upper).toBeLessThan(1);
  expect(marks.lower!).toBeLessThan(marks.upper!);
  expect(ruler(0, null)).toEqual({ lower: null, upper: null, ticks: [] });
  expect(ruler(0.5, null).upper).toBeNull();
  expect(ruler(0, 3).lower).toBeNull();
});

test("the server's own words come first in an error", () => {
  expect(errorText(400, '{"detail": "This is not a video."}')).toBe("This is not a video.");
  expect(errorText(400, '{"radius": ["Above zero."]}')).toBe("Above zero.");
  expect(errorText(409, "Your team already has this file.")).toBe("Your team already has this file.");
  expect(errorText(500, "<html>traceback</html>")).toContain("500");
  expect(errorText(0, "")).toContain("does not answer");
});
