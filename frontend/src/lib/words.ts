import { durationText, lowerText, normText, percentText, ratioText, shareText, upperText } from "./numbers";
import { type Example, type ExampleWords, type Explained, type Guarantee, isOver, type Status, type Verification } from "./types";
import { foundText, ofFlow, provenText, signed, signedText, unitText } from "./units";

/** What the live page says in words. Nothing here may claim more than the numbers do. */

export const STATUS_WORDS: Record<Status, string> = {
  queued: "Queued",
  running: "Running",
  converged: "Converged",
  certified: "Certified",
  refuted: "Unsafe",
  exhausted: "Budget spent",
  cancelled: "Cancelled",
  failed: "Failed",
};

const STATUS_MEANINGS: Record<Status, string> = {
  queued: "Waits for a free worker.",
  running: "The bounds can only get tighter.",
  converged: "The two bounds meet to within the tolerance.",
  certified: "The whole radius asked for is proven safe.",
  refuted: "An adversarial example within the radius answers the query.",
  exhausted: "The budget is spent; both bounds hold.",
  cancelled: "Stopped by a person; both bounds hold.",
  failed: "The run ended with an error; what was recorded before holds.",
};

/** A natural distortion has an end; other changes are certified up to the radius asked for. */
const WHOLE_MEANING = "The whole distortion is proven safe, as far as it goes.";

/** What the status means, and what is done when the bounds are final already. */
export function statusMeaning(verification: Verification): string {
  if (verification.certifying) return "The bounds are final. The certificate is being written.";
  if (verification.status === "certified" && verification.radius === null) return WHOLE_MEANING;
  return STATUS_MEANINGS[verification.status];
}

/** What the button that stops the run does. */
export function stopWords(verification: Verification): string {
  return verification.certifying ? "Stop, without certificate" : "Cancel, keep bounds";
}

/** What there is in the place of a certificate that was asked for. */
export function missingCertificate(verification: Verification, explained: Explained): string {
  if (verification.uncertified) return `None. ${verification.uncertified}`;
  return verification.certifying ? explained.writing : explained.waiting;
}

const GUARANTEE_WORDS: Record<Guarantee, string> = {
  sound: "sound proof",
  conditional: "conditional, not a proof",
  empirical: "concrete example",
};

export const guaranteeWords = (guarantee: Guarantee): string => GUARANTEE_WORDS[guarantee];


/** Why there is no upper bound. */
export function noUpperWords(verification: Verification): string {
  if (verification.status === "certified") {
    return verification.radius === null ? "none exists" : "none exists within the radius asked for";
  }
  const example = verification.eight_bit ? "no adversarial example in 8 bits" : "no adversarial example";
  return `${example} ${isOver(verification.status) ? "was found" : "found yet"}`;
}

/** Whether it depends on the norm how large a change is; the size of one number does not. */
export function normCounts(verification: Verification): boolean {
  return verification.parameters?.filter((parameter) => parameter.counts).length !== 1;
}

/** What stands small beside a distance: `px L2`, `pixel value`. */
export function sizeWords(verification: Verification): string {
  const unit = unitText(verification.distance_unit);
  return normCounts(verification) ? `${unit} ${normText(verification.norm)}` : unit;
}

/** The chart in one sentence, for those who do not see it. */
export function chartSummary(verification: Verification, elapsed: number): string {
  const norm = normCounts(verification) ? ` in ${normText(verification.norm)}` : "";
  const unit = verification.distance_unit;
  const proven =
    verification.lower > 0
      ? `proven up to a radius of ${provenText(verification.lower, unit)}${norm}`
      : "no radius proven so far";
  const found =
    verification.upper === null ? noUpperWords(verification) : `class changed at ${foundText(verification.upper, unit)}`;
  const ratio = ratioText(verification.lower, verification.upper);
  const apart = ratio ? `, a factor of ${ratio} apart` : "";
  return `Bounds after ${durationText(elapsed)}: ${proven}; ${found}${apart}.`;
}

/** `“pan left”, confidence 98.7 %`. */
export function classWords(name: string | null, confidence: number | null): string {
  if (name === null) return "not classified yet";
  return confidence === null ? `“${name}”` : `“${name}”, confidence ${percentText(confidence)}`;
}

/** Where the clip is mirrored, the class of the clip as it was given, and whether the pair agrees. */
export function givenWords(verification: Verification): string {
  const { given_label_name, given_confidence, pair_agrees } = verification;
  const words = classWords(given_label_name, given_confidence);
  return pair_agrees === null ? words : `${words}: the pair ${pair_agrees ? "agrees" : "does not agree"}`;
}

/** The figures of an adversarial example, each with its name. `words`: what stands behind the figures. */
export function exampleLines(example: Example, verification: Verification, words: ExampleWords): [string, string][] {
  const { shares, quality, survives_rounding } = example;
  const parts = shares.map((share, index) => `${index + 1}: ${shareText(share)}`.replaceAll(" ", "\u00a0"));
  return [
    ...parameterLines(example, verification),
    sizeLine(example, verification),
    ...greyLines(example),
    ...(parts.length > 0 ? [[shareName(verification), parts.join(", ")] as [string, string]] : []),
    ...likenessLines(quality, verification.frames),
    ["In 8 bits", survives_rounding ? words.survives : words.perishes],
  ];
}

const shareName = (verification: Verification): string =>
  ofFlow(verification.distance_unit) ? "Share of each flow" : "Share of each frame";

/** With their signs: which way the clip is distorted. Those that do not count have no unit. */
function parameterLines(example: Example, verification: Verification): [string, string][] {
  const values = Object.entries(example.parameters ?? {});
  if (values.length === 0) return [];
  const free = new Set(verification.parameters?.filter((parameter) => !parameter.counts).map(({ name }) => name));
  const texts = values.map(([name, value]) =>
    `${name} ${free.has(name) ? signed(value) : signedText(value, verification.distance_unit)}`);
  return [[values.length > 1 ? "Parameters" : "Parameter", texts.join(", ")]];
}

function sizeLine(example: Example, verification: Verification): [string, string] {
  const unit = verification.distance_unit;
  const sizes = Object.entries(example.distances);
  if (!normCounts(verification)) return ["Size", foundText(Math.max(...sizes.map(([, size]) => size)), unit)];
  return ["Size in each norm", sizes.map(([norm, size]) => `${normText(norm)} ${foundText(size, unit)}`).join(", ")];
}

/** How far the clips are apart, in the unit of the paper. */
function greyLines(example: Example): [string, string][] {
  const sizes = Object.entries(example.grey_levels ?? {});
  if (sizes.length === 0) return [];
  const texts = sizes.map(([norm, size]) => `${normText(norm)} ${upperText(size)}`);
  return [["Difference of the clips", `${texts.join(", ")} grey levels`]];
}

/** Rounded down: the frames are at least as alike as this says. */
function likenessLines(quality: Example["quality"], frames: number): [string, string][] {
  const { changed, psnr, psnr_worst, ssim, ssim_worst } = quality;
  if (psnr === null || psnr_worst === null) return [["PSNR", "identical"]];
  return [
    ["Frames changed", `${changed} of ${frames}`],
    ["PSNR", `${lowerText(psnr)} dB on average, ${lowerText(psnr_worst)} dB in the worst frame`],
    ["SSIM", `${lowerText(ssim)} on average, ${lowerText(ssim_worst)} in the worst frame`],
  ];
}
