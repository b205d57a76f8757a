import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/components.css";
import "./styles/forms.css";
import "./styles/print.css";
import { type Component, mount } from "svelte";
import { enhancePage } from "./page";

/** Each island is a chunk of its own, fetched only by the pages that hold it. */
const ISLANDS: Record<string, () => Promise<{ default: unknown }>> = {
  flow: () => import("./islands/Flow.svelte"),
  live: () => import("./islands/Live.svelte"),
  report: () => import("./islands/Report.svelte"),
  sampling: () => import("./islands/Sampling.svelte"),
  upload: () => import("./islands/Upload.svelte"),
};

/** Properties stand in `data-props`, or in the JSON script element that `data-source` names. */
function propsOf(target: HTMLElement): Record<string, unknown> {
  const { props, source } = target.dataset;
  const read = (text: string | null | undefined): unknown => JSON.parse(text || "{}");
  if (source === undefined) return read(props) as Record<string, unknown>;
  const found = read(document.getElementById(source)?.textContent);
  return Array.isArray(found) ? { points: found } : (found as Record<string, unknown>);
}

async function mountIsland(target: HTMLElement): Promise<void> {
  const load = ISLANDS[target.dataset.island ?? ""];
  if (!load) return;
  const component = (await load()).default as Component<Record<string, unknown>>;
  const props = propsOf(target);
  // What the server rendered inside is for browsers without JavaScript.
  target.replaceChildren();
  mount(component, { target, props });
}

for (const target of document.querySelectorAll<HTMLElement>("[data-island]")) void mountIsland(target);
enhancePage();
