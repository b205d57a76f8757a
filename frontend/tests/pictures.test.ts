import { expect, test } from "vitest";
import { frameSlots, hasExample, pictureUrls, slots } from "../src/lib/pictures";
import type { Artifact } from "../src/lib/types";

const artifact = (kind: string, flow: number | null, revision = 1): Artifact => ({
  id: `${kind}-${flow}-${revision}`,
  kind,
  flow,
  name: "",
  revision,
  url: `/content/${kind}/${flow}/`,
  bytes: 1,
});

test("before an example the original stands alone", () => {
  const urls = pictureUrls([artifact("frame", 1), artifact("flow-magnitude", 1), artifact("result", null)]);
  expect(hasExample(urls)).toBe(false);
  const [frame, original, perturbed, difference] = slots(urls, 1, "magnitude", "original", false);
  expect(frame?.url).toBe("/content/frame/1/?revision=1");
  expect(original?.url).toBe("/content/flow-magnitude/1/?revision=1");
  expect(perturbed?.url).toBeNull();
  expect(difference?.url).toBeNull();
});

test("a better example gets a new address, so that no cache shows the old one", () => {
  const urls = pictureUrls([artifact("perturbed-direction", 2, 1), artifact("perturbed-direction", 2, 4)]);
  expect(hasExample(urls)).toBe(true);
  expect(slots(urls, 2, "direction", "original", false)[2]?.url).toBe("/content/perturbed-direction/2/?revision=4");
});

test("each pair shows its own pictures", () => {
  const urls = pictureUrls([artifact("frame", 1), artifact("frame", 2), artifact("perturbed-frame", 2)]);
  expect(slots(urls, 2, "magnitude", "perturbed", false)[0]?.url).toBe("/content/perturbed-frame/2/?revision=1");
  expect(slots(urls, 1, "magnitude", "perturbed", false)[0]?.url).toBeNull();
});

test("changed frames have a difference of their own", () => {
  const urls = pictureUrls([artifact("frame", 3), artifact("perturbed-frame", 3), artifact("frame-difference", 3)]);
  expect(hasExample(urls)).toBe(true);
  expect(frameSlots(urls, 3, false).map((slot) => slot.url)).toEqual([
    "/content/frame/3/?revision=1",
    "/content/perturbed-frame/3/?revision=1",
    "/content/frame-difference/3/?revision=1",
  ]);
  expect(frameSlots(new Map(), 3, false)[2]?.absent).toContain("first adversarial example");
});

test("a run that is over promises no pictures", () => {
  const texts = slots(new Map(), 1, "magnitude", "original", true).map((slot) => slot.absent);
  expect(texts.some((text) => text.includes("yet") || text.includes("first"))).toBe(false);
});
