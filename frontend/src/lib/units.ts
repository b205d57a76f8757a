import { lowerText, rounded, upperText } from "./numbers";

/**
 * In what distances are measured; the spellings of the API. `px`: pixels of optical flow. `value`: pixel values from 0 to 1. Of
 * natural distortions also `share`: of the whole, `degrees`: of an angle, `log2`: doublings of a factor, `side`: of a square.
 */
export type Unit = "px" | "value" | "share" | "degrees" | "log2" | "side";

/** For axes, and small beside a large number. */
const TEXTS: Record<Unit, string> = {
  px: "px",
  value: "pixel value",
  share: "share",
  degrees: "degrees",
  log2: "doublings",
  side: "px",
};

/** What is written of some units as well: how many of it make 1, and its name. */
const ALSO: Partial<Record<Unit, readonly [number, string]>> = {
  value: [255, "grey levels"],
  share: [100, "%"],
};

export const unitText = (unit: Unit): string => TEXTS[unit];

/** Whether flows are changed, and not frames. */
export const ofFlow = (unit: Unit): boolean => unit === "px";

/** A proven radius with its unit: `0.2500 px`, `0.2500 (63.75 grey levels)`. */
export const provenText = (value: number, unit: Unit): string => withUnit(value, unit, lowerText);

/** The size of a found example with its unit. */
export const foundText = (value: number, unit: Unit): string => withUnit(value, unit, upperText);

/** A parameter with its sign and its unit: `−0.1200 (−30.60 grey levels)`. It carries no promise. */
export const signedText = (value: number, unit: Unit): string => withUnit(value, unit, signed);

/** The same of a parameter without a unit of its own. */
export const signed = (value: number): string => {
  const sign = value === 0 ? "" : value > 0 ? "+" : "\u2212";
  return sign + rounded(Math.abs(value), "nearest");
};

/** A proven radius in grey levels or per cent; empty for units that are written in one way only. */
export const provenAlso = (value: number, unit: Unit): string => also(value, unit, lowerText);

/** The size of a found example, likewise. */
export const foundAlso = (value: number, unit: Unit): string => also(value, unit, upperText);

function withUnit(value: number, unit: Unit, text: (value: number) => string): string {
  const other = also(value, unit, text);
  return other ? `${text(value)} (${other})` : `${text(value)} ${TEXTS[unit]}`;
}

function also(value: number, unit: Unit, text: (value: number) => string): string {
  const other = ALSO[unit];
  return other ? `${text(value * other[0])} ${other[1]}` : "";
}
