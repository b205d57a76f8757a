import type { Unit } from "./units";

/** What the server says, as REST answers and WebSocket messages carry it. */

export type Status = "queued" | "running" | "converged" | "certified" | "refuted" | "exhausted" | "cancelled" | "failed";

export type Guarantee = "sound" | "conditional" | "empirical";

/** One step of the two bounds; `number` counts from 1 within a verification. */
export interface BoundPoint {
  number: number;
  seconds: number;
  lower: number;
  upper: number | null;
  source: string;
}

export interface RunEvent {
  number: number;
  seconds: number;
  text: string;
}

/** A file of a run. `flow` counts from 1; `revision` grows each time the file is written anew. */
export interface Artifact {
  id: string;
  kind: string;
  flow: number | null;
  name: string;
  revision: number;
  url: string;
  bytes: number;
}

/** What there is to see of the two players; `heat` in rows, from 0 to 100. `directions`: how likely x and y are, for each flow. */
export interface Game {
  cells: number;
  certified: number;
  estimate: number;
  target: number;
  flows: number[];
  strategy: number[];
  directions: number[][];
  heat: number[][];
}

/** The paper's grid; `conditional` holds if Theorem 1's condition does, and is worth `guarantee`. */
export interface Grid {
  tau: number | null;
  fmsr: number;
  certified: number;
  conditional: number;
  guarantee: Guarantee;
  visited: number;
  unresolved: number;
}

/** How alike the changed frames are to the original ones; `psnr` in dB, null where no frame is changed. */
export interface Likeness {
  changed: number;
  psnr: number | null;
  psnr_worst: number | null;
  ssim: number;
  ssim_worst: number;
}

/** The adversarial example beside its class; `distances` by norm, `shares` of each flow (or frame). */
export interface Example {
  distances: Record<string, number>;
  shares: number[];
  quality: Likeness;
  survives_rounding: boolean;
  /** How far the clips are apart, by norm; null in old runs. */
  grey_levels: Record<string, number> | null;
  /** Of the distortion, by name and signed; null in other spaces. */
  parameters: Record<string, number> | null;
}

/** One parameter of a natural distortion; the distance is about those that count. */
export interface Parameter {
  name: string;
  least: number;
  most: number;
  counts: boolean;
}

/** The parts of the API's verification that the pages read. */
export interface Verification {
  id: string;
  status: Status;
  frames: number;
  norm: string;
  space: string;
  distance_unit: Unit;
  /** Of the natural distortion in question; null in other spaces. */
  parameters: Parameter[] | null;
  flows: number[] | null;
  radius: number | null;
  /** Only examples that survive the rounding of the frames to 8 bits count. */
  eight_bit: boolean;
  seconds: number;
  elapsed: number;
  label: number | null;
  label_name: string | null;
  confidence: number | null;
  /** All is asked of the clip mirrored left to right; `given_…` is then the class of the clip as it was given. */
  mirrored: boolean;
  given_label_name: string | null;
  given_confidence: number | null;
  pair_agrees: boolean | null;
  lower: number;
  lower_guarantee: Guarantee;
  /** Distorted clips nearer than that to the original in L2, in grey levels, keep the class; null where that is not known. */
  lower_grey_levels: number | null;
  upper: number | null;
  upper_label: number | null;
  upper_label_name: string | null;
  upper_confidence: number | null;
  realisation_rms: number | null;
  realisation_median: number | null;
  example: Example | null;
  game: Game | Grid | null;
  /** A certificate of the lower bound was asked for. */
  certificate: boolean;
  /** The bounds are final and it is being written. */
  certifying: boolean;
  /** What it proves; null while there is none. */
  certificate_radius: number | null;
  /** Why there is none; empty as long as it may come. */
  uncertified: string;
  cancel_requested: boolean;
  error: string;
}

/** What the page says of certificates, and the command that checks this one. */
export interface Explained {
  command: string;
  about: string;
  checking: string;
  whyLess: string;
  writing: string;
  waiting: string;
}

/** What the page says of any example. */
export interface ExampleWords {
  about: string;
  survives: string;
  perishes: string;
}

/** A kind of file that may be offered, and what it is for. */
export interface FileWords {
  kind: string;
  title: string;
  purpose: string;
}

/** `number` is the last point that the sender had told of; an event has its own number in `event`. */
export type LiveMessage =
  | { type: "snapshot"; number: number; verification: Verification }
  | { type: "bounds"; number: number; points: BoundPoint[] }
  | {
      type: "status";
      number: number;
      status: Status;
      elapsed: number;
      error: string;
      certifying: boolean;
      uncertified: string;
    }
  | { type: "game"; number: number; game: Game | Grid }
  | { type: "event"; number: number; event: number; seconds: number; text: string }
  | { type: "adversarial"; number: number; label: number | null; confidence: number | null; revision: number };

const OVER: ReadonlySet<Status> = new Set(["converged", "certified", "refuted", "exhausted", "cancelled", "failed"]);

/** Whether a run with this status will never move again. */
export function isOver(status: Status): boolean {
  return OVER.has(status);
}
