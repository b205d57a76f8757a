import { ApiError, type Numbered, type VerificationApi } from "./api";
import { type BoundPoint, isOver, type LiveMessage, type RunEvent, type Verification } from "./types";

/**
 * Keeps a page up to date with one verification: by WebSocket while that is open, by REST while it is not.
 *
 * The database is the truth and REST reads it; the socket only says sooner. Whatever a message announces and does not carry
 * (points lost while a broker restarted, events) is fetched by number. A slow check catches a lost last message.
 */

/** `live`: the socket is open. `polling`: it is not, REST answers. `reconnecting`: neither. `over`: nothing will change. */
export type Connection = "live" | "polling" | "reconnecting" | "over" | "refused";

/** What the feed reads and where it puts it. */
export interface Sink {
  /** The number after which points are wanted. */
  reached(): number;
  missing(): boolean;
  announce(number: number): void;
  points(points: BoundPoint[], complete: boolean): void;
  lastEvent(): number;
  addEvents(events: RunEvent[]): void;
  setVerification(verification: Verification): void;
  message(message: LiveMessage): void;
  connection(connection: Connection, detail: string): void;
}

export interface Socket {
  onopen: (() => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  close(): void;
}

export interface Timing {
  readonly poll: number;
  readonly check: number;
  readonly firstRetry: number;
  readonly lastRetry: number;
}

const TIMING: Timing = { poll: 2000, check: 10_000, firstRetry: 500, lastRetry: 10_000 };

/** Close codes by which the server says that trying again is of no use. */
const REFUSALS = new Set([4401, 4403, 4404]);

type Reader = Pick<VerificationApi, "verification" | "bounds" | "events">;

export class Feed {
  private socket: Socket | null = null;
  private open = false;
  private stopped = false;
  private retry: number;
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private fetching: Promise<boolean> | null = null;
  private again = false;
  private polling = false;

  constructor(
    private readonly api: Reader,
    private readonly openSocket: () => Socket,
    private readonly sink: Sink,
    private readonly timing: Timing = TIMING,
  ) {
    this.retry = timing.firstRetry;
  }

  start(): void {
    this.connect();
    this.later(this.timing.check, () => this.check());
    void this.refresh();
  }

  stop(): void {
    this.stopped = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.socket?.close();
    this.socket = null;
  }

  /** Read everything that is new by REST. Calls made meanwhile are answered by one more round. */
  async refresh(): Promise<boolean> {
    if (this.fetching) {
      this.again = true;
      return this.fetching;
    }
    this.fetching = this.read();
    const answered = await this.fetching;
    this.fetching = null;
    if (this.again && !this.stopped) {
      this.again = false;
      return this.refresh();
    }
    return answered;
  }

  private async read(): Promise<boolean> {
    try {
      // First the state, then what belongs to it: a run seen as over has all its points in the database.
      const verification = await this.api.verification();
      await this.readAll(() => this.api.bounds(this.sink.reached()), (points) => this.sink.points(points, true));
      await this.readAll(() => this.api.events(this.sink.lastEvent()), (events) => this.sink.addEvents(events));
      if (this.stopped) return false;
      this.sink.setVerification(verification);
      if (isOver(verification.status)) this.finish();
      else if (!this.open) this.sink.connection("polling", "");
      return true;
    } catch (error) {
      if (this.stopped) return false;
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) this.refuse(error.message);
      else if (!this.open) this.sink.connection("reconnecting", "");
      return false;
    }
  }

  private async readAll<Row>(ask: () => Promise<Numbered<Row>>, put: (rows: Row[]) => void): Promise<void> {
    for (;;) {
      const { results, more } = await ask();
      if (this.stopped) return;
      put(results);
      if (!more || results.length === 0) return;
    }
  }

  private connect(): void {
    if (this.stopped) return;
    const socket = this.openSocket();
    this.socket = socket;
    socket.onopen = () => {
      this.open = true;
      this.retry = this.timing.firstRetry;
      this.sink.connection("live", "");
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => {
      if (this.stopped) return;
      const dropped = this.open;
      this.open = false;
      if (REFUSALS.has(event.code)) {
        this.refuse("You may not see this verification any more. Log in again, or ask a member of its team.");
        return;
      }
      if (dropped) {
        this.sink.connection("reconnecting", "");
      }
      if (!this.polling) {
        this.polling = true;
        this.later(this.timing.firstRetry, () => this.poll());
      }
      this.later(this.retry, () => this.connect());
      this.retry = Math.min(this.retry * 2, this.timing.lastRetry);
    };
  }

  private receive(data: unknown): void {
    let message: LiveMessage;
    try {
      message = JSON.parse(String(data)) as LiveMessage;
    } catch {
      return;
    }
    if (message.type === "bounds") this.sink.points(message.points, false);
    this.sink.announce(message.number);
    const behind = message.type === "event" && message.event > this.sink.lastEvent() + 1;
    if (message.type === "event" && !behind) {
      this.sink.addEvents([{ number: message.event, seconds: message.seconds, text: message.text }]);
    }
    this.sink.message(message);
    const ended = message.type === "status" && isOver(message.status);
    if (behind || ended || message.type === "snapshot" || this.sink.missing()) void this.refresh();
  }

  /** Read by REST again and again until the socket is back. */
  private poll(): void {
    if (this.stopped || this.open) {
      this.polling = false;
      return;
    }
    void this.refresh().then(() => this.later(this.timing.poll, () => this.poll()));
  }

  private check(): void {
    void this.refresh().then(() => this.later(this.timing.check, () => this.check()));
  }

  private finish(): void {
    this.stop();
    this.sink.connection("over", "");
  }

  private refuse(detail: string): void {
    this.stop();
    this.sink.connection("refused", detail);
  }

  private later(delay: number, run: () => void): void {
    if (this.stopped) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, delay);
    this.timers.add(timer);
  }
}

/** The socket of one verification on this page's host. */
export function verificationSocket(id: string): Socket {
  const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(`${scheme}//${window.location.host}/ws/verifications/${id}/`) as unknown as Socket;
}
