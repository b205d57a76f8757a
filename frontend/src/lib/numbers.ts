/**
 * Numbers as people read them: four significant digits, rounded so that no statement becomes stronger than what was
 * computed: a proven radius down, a found one up, their ratio up.
 */

const DIGITS = 4;

type Direction = "down" | "up" | "nearest";

function plainText(mantissa: number, exponent: number): string {
  const value = Number(`${mantissa}e${exponent - DIGITS + 1}`);
  return exponent < -6 ? value.toExponential(DIGITS - 1) : value.toFixed(Math.max(0, DIGITS - 1 - exponent));
}

/** `value` >= 0 with four significant digits; above 9999 the whole part. */
export function rounded(value: number, direction: Direction): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "–";
  if (value >= 10 ** DIGITS) {
    const whole = { down: Math.floor, up: Math.ceil, nearest: Math.round }[direction];
    return String(whole(value));
  }
  const [digits = "0", power = "0"] = value.toExponential(DIGITS - 1).split("e");
  let mantissa = Math.round(Number(digits) * 10 ** (DIGITS - 1));
  let exponent = Number(power);
  const nearest = Number(`${mantissa}e${exponent - DIGITS + 1}`);
  if (direction === "down" && nearest > value) mantissa -= 1;
  if (direction === "up" && nearest < value) mantissa += 1;
  if (mantissa < 10 ** (DIGITS - 1)) {
    mantissa = 10 ** DIGITS - 1;
    exponent -= 1;
  } else if (mantissa >= 10 ** DIGITS) {
    mantissa = 10 ** (DIGITS - 1);
    exponent += 1;
  }
  return plainText(mantissa, exponent);
}

/** A proven radius. */
export const lowerText = (value: number): string => rounded(value, "down");

/** The size of a found example. */
export const upperText = (value: number): string => rounded(value, "up");

/** Upper over lower, or null while there is none. */
export function ratioText(lower: number, upper: number | null): string | null {
  return upper !== null && lower > 0 ? rounded(upper / lower, "up") : null;
}

/** A confidence in [0, 1]; only 1 itself is written as 100 %. */
export function percentText(value: number): string {
  if (value >= 1) return "100 %";
  return `${Number(Math.min(value * 100, 99.99).toFixed(2))} %`;
}

/** A share in [0, 1], in whole per cent. */
export const shareText = (value: number): string => `${Math.round(100 * value)} %`;

/** A count with thin spaces between its thousands. */
export const countText = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, "\u2009");

/** Seconds as people say them: `4.2 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(seconds: number): string {
  if (seconds < 59.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = (value: number, unit: string): string => (value > 0 ? ` ${value} ${unit}` : "");
  if (minutes < 60) return `${minutes} min${rest(whole % 60, "s")}`;
  return `${Math.floor(minutes / 60)} h${rest(minutes % 60, "min")}`;
}

/** Bytes with a decimal prefix, as file managers write them. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "B";
  for (const next of units) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

const NORMS: Record<string, string> = { l1: "L1", l2: "L2", linf: "L∞" };

/** The name of a norm on the page. */
export const normText = (norm: string): string => NORMS[norm] ?? norm;
