import { VerificationApi } from "./api";
import { corrected } from "./clock";
import { type Connection, Feed, type Sink, verificationSocket } from "./feed";
import { BoundSeries } from "./series";
import { type Artifact, type BoundPoint, isOver, type LiveMessage, type RunEvent, type Verification } from "./types";

/** Everything that the live page knows about one run, kept current by a `Feed`; components read it as runes. */
export class Run implements Sink {
  verification = $state.raw() as Verification;
  events = $state.raw<RunEvent[]>([]);
  artifacts = $state.raw<Artifact[]>([]);
  connectionState = $state<Connection>("reconnecting");
  refusal = $state("");
  cancelError = $state("");
  cancelling = $state(false);
  /** Grows with each change of `series`, which is too large to be a rune itself. */
  version = $state(0);
  /** Seconds since the run began, ticking between messages. */
  elapsed = $state(0);

  readonly series = new BoundSeries();
  private readonly api: VerificationApi;
  private readonly feed: Feed;
  private elapsedAt = performance.now();
  private ticker: ReturnType<typeof setInterval> | undefined;
  private artifactsWanted = false;
  private artifactsLoading = false;

  constructor(
    verification: Verification,
    points: BoundPoint[],
    lastNumber: number,
    events: RunEvent[],
    artifacts: Artifact[],
  ) {
    this.api = new VerificationApi(verification.id);
    this.series.merge(points, true);
    this.series.announce(lastNumber);
    this.events = events;
    this.artifacts = artifacts;
    this.version = 1;
    this.verification = verification;
    this.elapsed = verification.elapsed;
    this.feed = new Feed(this.api, () => verificationSocket(verification.id), this);
  }

  start(): void {
    if (isOver(this.verification.status)) {
      this.connectionState = "over";
      // The page may carry only the first of many points.
      void this.feed.refresh();
      return;
    }
    this.feed.start();
    this.ticker = setInterval(() => this.tick(), 200);
  }

  stop(): void {
    this.feed.stop();
    clearInterval(this.ticker);
  }

  async cancel(): Promise<void> {
    this.cancelling = true;
    this.cancelError = "";
    try {
      await this.api.cancel();
      await this.feed.refresh();
    } catch (error) {
      this.cancelling = false;
      this.cancelError = error instanceof Error ? error.message : String(error);
    }
  }

  private tick(): void {
    if (this.verification.status !== "running") return;
    const { elapsed, seconds } = this.verification;
    if (this.connectionState === "reconnecting") {
      // The server does not answer, and its worker has most likely stopped with it: the clock stands still.
      this.elapsedAt = performance.now() - (this.elapsed - elapsed) * 1000;
      return;
    }
    // Never past the budget on this page's own account: a worker that died does no work.
    this.elapsed = Math.min(elapsed + (performance.now() - this.elapsedAt) / 1000, Math.max(elapsed, seconds));
  }

  private set(verification: Verification): void {
    const before = this.verification;
    this.verification = verification;
    const ahead = before.status === "running" && verification.status === "running";
    const base = ahead ? corrected(this.elapsed, verification.elapsed) : verification.elapsed;
    this.verification = { ...verification, elapsed: base };
    this.elapsed = base;
    this.elapsedAt = performance.now();
  }

  // Sink

  reached(): number {
    return this.series.reached;
  }

  missing(): boolean {
    return this.series.missing;
  }

  announce(number: number): void {
    this.series.announce(number);
  }

  points(points: BoundPoint[], complete: boolean): void {
    if (this.series.merge(points, complete)) this.version += 1;
    const last = points.at(-1);
    if (!last) return;
    const { lower, upper } = this.verification;
    // Bounds are monotone, so an old point cannot make them worse.
    const best = { lower: Math.max(lower, last.lower), upper: least(upper, last.upper) };
    if (best.lower !== lower || best.upper !== upper) this.verification = { ...this.verification, ...best };
    if (this.verification.status === "running" && last.seconds > this.elapsed) {
      this.set({ ...this.verification, elapsed: last.seconds });
    }
  }

  lastEvent(): number {
    return this.events.at(-1)?.number ?? 0;
  }

  /** Called by the feed with events after `lastEvent`. */
  addEvents(events: RunEvent[]): void {
    const last = this.lastEvent();
    const fresh = events.filter((event) => event.number > last);
    if (fresh.length > 0) this.events = [...this.events, ...fresh];
  }

  setVerification(verification: Verification): void {
    const changed = verification.upper !== this.verification.upper || isOver(verification.status);
    this.set(verification);
    if (changed || this.artifacts.length === 0 || this.connectionState !== "live") this.loadArtifacts();
  }

  message(message: LiveMessage): void {
    if (message.type === "snapshot") this.setVerification(message.verification);
    if (message.type === "status") {
      const { status, elapsed, error, certifying, uncertified } = message;
      this.set({ ...this.verification, status, elapsed, error, certifying, uncertified });
    }
    if (message.type === "game") this.verification = { ...this.verification, game: message.game };
    if (message.type === "adversarial") {
      this.loadArtifacts();
      void this.feed.refresh();
    }
  }

  connection(connection: Connection, detail: string): void {
    this.connectionState = connection;
    this.refusal = detail;
    if (connection === "over" || connection === "refused") clearInterval(this.ticker);
  }

  /** Read the list of pictures again; calls made meanwhile are answered by one more reading. */
  private loadArtifacts(): void {
    this.artifactsWanted = true;
    if (this.artifactsLoading) return;
    this.artifactsLoading = true;
    void this.readArtifacts().finally(() => (this.artifactsLoading = false));
  }

  private async readArtifacts(): Promise<void> {
    while (this.artifactsWanted) {
      this.artifactsWanted = false;
      try {
        this.artifacts = await this.api.artifacts();
      } catch {
        // The next message, or the feed's slow check, asks again.
      }
    }
  }
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
