import { lowerText, upperText } from "./numbers";

/** In what distances are measured: pixels of optical flow, or pixel values from 0 to 1. The spellings of the API. */
export type Unit = "px" | "value";

/** Grey levels of 8 bits in a pixel value of 1. */
const GREY_LEVELS = 255;

/** For axes, and small beside a large number. */
export const unitText = (unit: Unit): string => (unit === "px" ? "px" : "pixel value");

/** A proven radius with its unit: `0.2500 px`, `0.2500 (63.75 grey levels)`. */
export const provenText = (value: number, unit: Unit): string => withUnit(value, unit, lowerText);

/** The size of a found example with its unit. */
export const foundText = (value: number, unit: Unit): string => withUnit(value, unit, upperText);

/** A proven pixel value in grey levels; empty for pixels of flow. */
export const provenGrey = (value: number, unit: Unit): string => grey(value, unit, lowerText);

/** The size of a found example in grey levels; empty for pixels of flow. */
export const foundGrey = (value: number, unit: Unit): string => grey(value, unit, upperText);

function withUnit(value: number, unit: Unit, text: (value: number) => string): string {
  return unit === "px" ? `${text(value)} px` : `${text(value)} (${grey(value, unit, text)})`;
}

function grey(value: number, unit: Unit, text: (value: number) => string): string {
  return unit === "px" ? "" : `${text(value * GREY_LEVELS)} grey levels`;
}
