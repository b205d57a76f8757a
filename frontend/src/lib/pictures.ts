import type { Artifact } from "./types";
import { artifactUrl } from "./api";

/** Which picture stands where in the flow viewer. */

export type Aspect = "magnitude" | "direction" | "arrows";
export type Frame = "original" | "perturbed";

export interface Slot {
  readonly title: string;
  readonly url: string | null;
  /** What stands in its place while there is no picture. */
  readonly absent: string;
}

const key = (kind: string, flow: number): string => `${kind}/${flow}`;

/** The addresses of all pictures by kind and flow, of the newest revision each. */
export function pictureUrls(artifacts: readonly Artifact[]): Map<string, string> {
  const newest = new Map<string, Artifact>();
  for (const artifact of artifacts) {
    if (artifact.flow === null) continue;
    const place = key(artifact.kind, artifact.flow);
    const before = newest.get(place);
    if (!before || artifact.revision >= before.revision) newest.set(place, artifact);
  }
  return new Map([...newest].map(([place, artifact]) => [place, artifactUrl(artifact)]));
}

/** The four pictures of the pair of frames `flow` and `flow + 1`. */
export function slots(
  urls: ReadonlyMap<string, string>,
  flow: number,
  aspect: Aspect,
  frame: Frame,
  over: boolean,
): Slot[] {
  const url = (kind: string): string | null => urls.get(key(kind, flow)) ?? null;
  const soon = over ? "was not drawn" : "not drawn yet";
  const later = over ? "no adversarial example" : "after the first adversarial example";
  const shown = frame === "perturbed" ? url("perturbed-frame") : url("frame");
  return [
    { title: frame === "perturbed" ? `Perturbed frame ${flow}` : `Frame ${flow}`, url: shown, absent: soon },
    { title: "Original flow", url: url(`flow-${aspect}`), absent: soon },
    { title: "Perturbed flow", url: url(`perturbed-${aspect}`), absent: later },
    { title: "Difference", url: url(`difference-${aspect}`), absent: later },
  ];
}

/** The pictures of one frame where the frames themselves are changed. */
export function frameSlots(urls: ReadonlyMap<string, string>, frame: number, over: boolean): Slot[] {
  const url = (kind: string): string | null => urls.get(key(kind, frame)) ?? null;
  const later = over ? "no adversarial example" : "after the first adversarial example";
  return [
    { title: `Frame ${frame}`, url: url("frame"), absent: over ? "was not drawn" : "not drawn yet" },
    { title: "Perturbed frame", url: url("perturbed-frame"), absent: later },
    { title: "Difference", url: url("frame-difference"), absent: later },
  ];
}

/** Whether an adversarial example has been drawn. */
export function hasExample(urls: ReadonlyMap<string, string>): boolean {
  for (const place of urls.keys()) {
    if (place.startsWith("perturbed-") || place.startsWith("difference-")) return true;
  }
  return false;
}
