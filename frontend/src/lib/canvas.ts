import uPlot from "uplot";
import { columns, fullWindow, type Scale, tickText, ticks, type Window, zoomWindow } from "./plot";
import type { BoundSeries } from "./series";

/** The bounds drawn by uPlot: step lines, the gap between them shaded, and a zoom that stays while points arrive. */

export interface Axes {
  x: Scale;
  y: Scale;
}

/** What lies under the pointer, or null when it is elsewhere. */
export interface Reading {
  seconds: number;
  lower: number | null;
  upper: number | null;
}

export interface Callbacks {
  reading(reading: Reading | null): void;
  zoomed(zoomed: boolean): void;
}

interface Colours {
  ink: string;
  muted: string;
  line: string;
  proven: string;
  found: string;
  gap: string;
}

function coloursOf(element: HTMLElement): Colours {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: read("ink"),
    muted: read("muted"),
    line: read("line"),
    proven: read("proven"),
    found: read("found"),
    gap: read("gap"),
  };
}

export class BoundCanvas {
  private plot: uPlot;
  private zoom: Window | null = null;
  private elapsed = 0;
  private readonly observer: ResizeObserver;
  /** What changes the colours: the canvas does not follow the style sheet by itself. */
  private readonly looks = ["(prefers-color-scheme: dark)", "print"].map((query) => window.matchMedia(query));
  private readonly restyle = (): void => this.rebuild();

  constructor(
    private readonly target: HTMLElement,
    private readonly series: BoundSeries,
    private axes: Axes,
    private readonly callbacks: Callbacks,
  ) {
    this.plot = this.build();
    this.observer = new ResizeObserver(() => this.plot.setSize(this.size()));
    this.observer.observe(target);
    for (const look of this.looks) look.addEventListener("change", this.restyle);
  }

  /** Draw the series as it is now, `elapsed` seconds into the run. */
  draw(elapsed: number): void {
    this.elapsed = elapsed;
    this.plot.setData(this.data());
  }

  setAxes(axes: Axes): void {
    if (axes.x === this.axes.x && axes.y === this.axes.y) return;
    this.axes = axes;
    this.setZoom(null);
    this.rebuild();
  }

  resetZoom(): void {
    this.setZoom(null);
    this.draw(this.elapsed);
  }

  destroy(): void {
    this.observer.disconnect();
    for (const look of this.looks) look.removeEventListener("change", this.restyle);
    this.plot.destroy();
  }

  private window(): Window {
    return this.zoom ?? fullWindow(this.series, this.elapsed, this.axes.x, this.axes.y);
  }

  private data(): uPlot.AlignedData {
    return columns(this.series, this.elapsed, this.axes.x, this.axes.y, this.window().y[0]) as uPlot.AlignedData;
  }

  private size(): { width: number; height: number } {
    const width = Math.max(this.target.clientWidth, 200);
    return { width, height: Math.round(Math.min(Math.max(width * 0.46, 240), 400)) };
  }

  private setZoom(zoom: Window | null): void {
    this.zoom = zoom;
    this.callbacks.zoomed(zoom !== null);
  }

  private rebuild(): void {
    this.plot.destroy();
    this.plot = this.build();
  }

  private build(): uPlot {
    const plot = new uPlot(this.options(), this.data(), this.target);
    plot.over.addEventListener("dblclick", () => this.resetZoom());
    return plot;
  }

  private select(plot: uPlot): void {
    const { left, top, width, height } = plot.select;
    if (width <= 0 && height <= 0) return;
    // A drag along one axis spans the other one whole.
    const x: [number, number] =
      width >= 6 ? [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")] : [...this.window().x];
    const y: [number, number] =
      height >= 6 ? [plot.posToVal(top + height, "y"), plot.posToVal(top, "y")] : [...this.window().y];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const zoom = zoomWindow(x, y, { width, height });
    if (!zoom) return;
    this.setZoom(zoom);
    this.draw(this.elapsed);
  }

  private read(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    if (left < 0 || this.series.length === 0) {
      this.callbacks.reading(null);
      return;
    }
    const seconds = plot.posToVal(left, "x");
    const index = lastAtOrBefore(this.series.seconds, seconds);
    this.callbacks.reading({
      seconds,
      lower: index < 0 ? null : (this.series.lower[index] ?? null),
      upper: index < 0 ? null : (this.series.upper[index] ?? null),
    });
  }

  private options(): uPlot.Options {
    const colours = coloursOf(this.target);
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    const paths = stepped ? { paths: stepped } : {};
    const font = "12px system-ui, sans-serif";
    const axis = (scale: Scale, apart: number): uPlot.Axis => ({
      stroke: colours.muted,
      font,
      grid: { stroke: colours.line, width: 1 },
      ticks: { stroke: colours.line, width: 1, size: 5 },
      space: apart,
      splits: (plot, index, min, max) => {
        const pixels = (index === 0 ? plot.bbox.width : plot.bbox.height) / devicePixelRatio;
        return ticks(min, max, scale, Math.max(2, pixels / apart));
      },
      filter: (_plot, splits) => splits,
      values: (_plot, splits) => splits.map(tickText),
    });
    return {
      ...this.size(),
      padding: [10, 14, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: true, uni: 24, setScale: false },
        bind: { dblclick: () => null },
      },
      scales: {
        x: { time: false, distr: this.axes.x === "log" ? 3 : 1, range: () => [...this.window().x] },
        y: { distr: this.axes.y === "log" ? 3 : 1, range: () => [...this.window().y] },
      },
      axes: [
        { ...axis(this.axes.x, 70), size: 34 },
        { ...axis(this.axes.y, 42), size: 58 },
      ],
      series: [
        {},
        { label: "found", scale: "y", stroke: colours.found, width: 2, points: { show: false }, ...paths },
        { label: "proven", scale: "y", stroke: colours.proven, width: 2, points: { show: false }, ...paths },
        { label: "gap", scale: "y", points: { show: false }, ...paths },
      ],
      bands: [{ series: [1, 3], fill: colours.gap }],
      hooks: {
        setSelect: [(plot) => this.select(plot)],
        setCursor: [(plot) => this.read(plot)],
      },
    };
  }
}

/** The last index whose value is at most `value` in a sorted list, or -1. */
function lastAtOrBefore(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? Infinity) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
