import { expect, test } from "vitest";
import { errorText } from "../src/lib/api";
import { ruler } from "../src/lib/ruler";
import type { Example, Parameter, Verification } from "../src/lib/types";
import { foundAlso, provenAlso, signedText, unitText } from "../src/lib/units";
import { chartSummary, exampleLines, givenWords, missingCertificate, noUpperWords, sizeWords, statusMeaning, stopWords } from "../src/lib/words";

const verification = (fields: Partial<Verification>): Verification =>
  ({ status: "running", norm: "l2", distance_unit: "px", parameters: null, lower: 0, upper: null, ...fields }) as Verification;

test("an upper bound that is unknown is said to be so, and why", () => {
  expect(noUpperWords(verification({}))).toBe("no adversarial example found yet");
  expect(noUpperWords(verification({ status: "exhausted" }))).toBe("no adversarial example was found");
  expect(noUpperWords(verification({ status: "exhausted", eight_bit: true }))).toBe("no adversarial example in 8 bits was found");
  expect(noUpperWords(verification({ status: "certified" }))).toContain("none exists");
});

test("the class of a clip as given stands beside that of its mirror image", () => {
  const given = { mirrored: true, given_label_name: "pan left", given_confidence: 0.931 };
  expect(givenWords(verification({ ...given, pair_agrees: false }))).toBe("“pan left”, confidence 93.1 %: the pair does not agree");
  expect(givenWords(verification({ ...given, pair_agrees: true }))).toBe("“pan left”, confidence 93.1 %: the pair agrees");
  const waiting = { mirrored: true, given_label_name: null, given_confidence: null, pair_agrees: null };
  expect(givenWords(verification(waiting))).toBe("not classified yet");
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
  expect([provenAlso(0.1, "px"), foundAlso(1 / 255, "value")]).toEqual(["", "1.000 grey levels"]);
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

test("the figures of an example are rounded to the side on which they stay true", () => {
  const words = { about: "", survives: "It survives.", perishes: "It perishes." };
  const example: Example = {
    distances: { l1: 10, l2: 2.00001, linf: 0.5 },
    shares: [0.749, 0.251],
    quality: { changed: 2, psnr: 40.62999, psnr_worst: 34.87, ssim: 0.99999, ssim_worst: 0.98 },
    survives_rounding: true,
    grey_levels: { l1: 900.5, l2: 12.34501, linf: 3 },
    parameters: null,
  };
  const lines = Object.fromEntries(exampleLines(example, verification({ frames: 3 }), words));
  expect(lines["Size in each norm"]).toBe("L1 10.00 px, L2 2.001 px, L∞ 0.5000 px");
  expect(lines["Difference of the clips"]).toBe("L1 900.5, L2 12.35, L∞ 3.000 grey levels");
  expect(Object.keys(lines).filter((name) => name.startsWith("Parameter"))).toEqual([]);
  expect(lines["Share of each flow"]).toBe("1:\u00a075\u00a0%, 2:\u00a025\u00a0%");
  expect(lines["Frames changed"]).toBe("2 of 3");
  expect(lines["PSNR"]).toBe("40.62 dB on average, 34.87 dB in the worst frame");
  expect(lines["SSIM"]).toBe("0.9999 on average, 0.9800 in the worst frame");
  expect(lines["In 8 bits"]).toBe("It survives.");
});

test("frames that are identical have no PSNR", () => {
  const words = { about: "", survives: "", perishes: "It perishes." };
  const quality = { changed: 0, psnr: null, psnr_worst: null, ssim: 1, ssim_worst: 1 };
  const example: Example = { distances: {}, shares: [1], quality, survives_rounding: false, grey_levels: null, parameters: null };
  const lines = exampleLines(example, verification({ distance_unit: "value", frames: 2 }), words);
  expect(lines.map(([name, value]) => `${name}: ${value}`)).toContain("PSNR: identical");
  expect(lines.at(-1)?.[1]).toBe("It perishes.");
  expect(lines[1]?.[0]).toBe("Share of each frame");
});

const parameter = (name: string, counts = true): Parameter => ({ name, least: -1, most: 1, counts });

const distorted: Example = {
  distances: { l1: 0.12, l2: 0.12, linf: 0.12 },
  shares: [0.5, 0.5],
  quality: { changed: 2, psnr: 18.4, psnr_worst: 18.1, ssim: 0.9, ssim_worst: 0.8 },
  survives_rounding: true,
  grey_levels: { l2: 4000 },
  parameters: { brightness: -0.12 },
};

test("a distortion by one parameter has one size, whatever the norm, and a direction", () => {
  const asked = verification({ distance_unit: "value", lower: 0.1, upper: 0.12, parameters: [parameter("brightness")], frames: 2 });
  expect(sizeWords(asked)).toBe("pixel value");
  expect(chartSummary(asked, 60)).toContain("a radius of 0.1000 (25.50 grey levels); class changed at 0.1200 (30.60 grey levels)");
  const lines = exampleLines(distorted, asked, { about: "", survives: "It survives.", perishes: "" });
  expect(lines.slice(0, 4)).toEqual([
    ["Parameter", "brightness \u22120.1200 (\u221230.60 grey levels)"],
    ["Size", "0.1200 (30.60 grey levels)"],
    ["Difference of the clips", "L2 4000 grey levels"],
    ["Share of each frame", "1:\u00a050\u00a0%, 2:\u00a050\u00a0%"],
  ]);
});

test("of several parameters the norm is said, and what does not count has no unit", () => {
  const sum = verification({ distance_unit: "share", norm: "l1", parameters: [parameter("brightness"), parameter("contrast")] });
  expect(sizeWords(sum)).toBe("share L1");
  const anywhere = verification({
    distance_unit: "share",
    parameters: [parameter("opacity"), parameter("down", false), parameter("across", false)],
    frames: 2,
  });
  expect(sizeWords(anywhere)).toBe("share");
  const example = { ...distorted, shares: [], parameters: { opacity: 0.3, down: 2.5, across: -1 } };
  const lines = exampleLines(example, anywhere, { about: "", survives: "", perishes: "" });
  expect(lines[0]).toEqual(["Parameters", "opacity +0.3000 (+30.00 %), down +2.500, across \u22121.000"]);
  expect(lines.map(([name]) => name)).not.toContain("Share of each frame");
});

test("every unit is written with its name", () => {
  expect([signedText(0, "degrees"), signedText(-3, "degrees"), signedText(0.5, "log2"), signedText(4, "side")]).toEqual([
    "0 degrees",
    "\u22123.000 degrees",
    "+0.5000 doublings",
    "+4.000 px",
  ]);
});
