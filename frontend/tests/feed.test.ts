import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/lib/api";
import { type Connection, Feed, type Sink, type Socket } from "../src/lib/feed";
import { BoundSeries } from "../src/lib/series";
import type { BoundPoint, LiveMessage, RunEvent, Status, Verification } from "../src/lib/types";

/** The server's side: a database that REST reads, and sockets that the test opens, feeds and drops. */
class World {
  database: BoundPoint[] = [];
  eventRows: RunEvent[] = [];
  status: Status = "running";
  failure: Error | null = null;
  sockets: Socket[] = [];
  asked: number[] = [];

  readonly api = {
    verification: async (): Promise<Verification> => {
      if (this.failure) throw this.failure;
      return { status: this.status } as Verification;
    },
    bounds: async (after: number) => {
      this.asked.push(after);
      const rest = this.database.filter((point) => point.number > after);
      return { results: rest.slice(0, 10), more: rest.length > 10 };
    },
    events: async (after: number) => ({ results: this.eventRows.filter((row) => row.number > after), more: false }),
  };

  grow(count: number): BoundPoint[] {
    const first = this.database.length + 1;
    const fresh = Array.from({ length: count }, (_, index) => ({
      number: first + index,
      seconds: first + index,
      lower: first + index,
      upper: null,
      source: "lower",
    }));
    this.database.push(...fresh);
    return fresh;
  }

  openSocket = (): Socket => {
    const socket: Socket = { onopen: null, onclose: null, onmessage: null, close: () => undefined };
    this.sockets.push(socket);
    return socket;
  };

  get socket(): Socket {
    return this.sockets.at(-1)!;
  }

  say(message: LiveMessage): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }
}

class Page implements Sink {
  readonly series = new BoundSeries();
  eventRows: RunEvent[] = [];
  states: Connection[] = [];
  status: Status | null = null;

  reached = (): number => this.series.reached;
  missing = (): boolean => this.series.missing;
  announce = (number: number): void => this.series.announce(number);
  points = (points: BoundPoint[], complete: boolean): void => void this.series.merge(points, complete);
  lastEvent = (): number => this.eventRows.at(-1)?.number ?? 0;
  addEvents = (events: RunEvent[]): void => void this.eventRows.push(...events);
  setVerification = (verification: Verification): void => void (this.status = verification.status);
  message = (): void => undefined;
  connection = (connection: Connection): void => void this.states.push(connection);
}

let world: World;
let page: Page;
let feed: Feed;

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  page = new Page();
  feed = new Feed(world.api, world.openSocket, page);
});

afterEach(() => {
  feed.stop();
  vi.useRealTimers();
});

const settle = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

test("points that come over the socket are shown at once", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  const points = world.grow(3);
  world.say({ type: "bounds", number: 3, points });
  expect(page.series.lower).toEqual([1, 2, 3]);
  expect(page.states.at(-1)).toBe("live");
});

test("a hole in the socket's points is filled by REST", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  const points = world.grow(6);
  world.say({ type: "bounds", number: 6, points: points.slice(4) });
  expect(page.series.length).toBe(0);
  await settle();
  expect(page.series.lower).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a snapshot that knows more than the page makes it ask, page by page", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.grow(35);
  world.asked = [];
  world.say({ type: "snapshot", number: 35, verification: { status: "running" } as Verification });
  await settle();
  expect(page.series.length).toBe(35);
  expect(world.asked).toEqual([0, 10, 20, 30]);
});

test("without a socket the page polls, and says so; with it back it stops", async () => {
  feed.start();
  world.socket.onclose?.({ code: 1006 });
  await settle(600);
  expect(page.states.at(-1)).toBe("polling");
  world.grow(2);
  await settle(2100);
  expect(page.series.length).toBe(2);
  expect(world.sockets.length).toBeGreaterThan(1);
  world.socket.onopen?.();
  expect(page.states.at(-1)).toBe("live");
  await settle(2100);
  const asked = world.asked.length;
  await settle(4000);
  expect(world.asked.length - asked).toBeLessThanOrEqual(1);
});

test("with neither socket nor REST it says that it reconnects, and goes on when the server is back", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.failure = new TypeError("Failed to fetch");
  world.socket.onclose?.({ code: 1006 });
  await settle(5000);
  expect(page.states.at(-1)).toBe("reconnecting");
  world.failure = null;
  world.grow(4);
  await settle(3000);
  expect(page.states.at(-1)).toBe("polling");
  expect(page.series.length).toBe(4);
});

test("a last message that is lost is noticed by the slow check", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.grow(1);
  world.status = "exhausted";
  await settle(10_500);
  expect(page.status).toBe("exhausted");
  expect(page.series.length).toBe(1);
  expect(page.states.at(-1)).toBe("over");
});

test("when the run is over everything is read once more and nothing is asked any longer", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.grow(5);
  world.status = "cancelled";
  const calm = { elapsed: 5, error: "", certifying: false, uncertified: "" };
  world.say({ type: "status", number: 3, status: "cancelled", ...calm });
  await settle();
  expect(page.series.length).toBe(5);
  expect(page.states.at(-1)).toBe("over");
  const asked = world.asked.length;
  await settle(60_000);
  expect(world.asked.length).toBe(asked);
});

test("a refusal ends it: no more attempts", async () => {
  feed.start();
  world.socket.onclose?.({ code: 4403 });
  expect(page.states.at(-1)).toBe("refused");
  await settle(60_000);
  expect(world.sockets).toHaveLength(1);
});

test("a login that has ended is a refusal too", async () => {
  world.failure = new ApiError(403, "Log in again.");
  feed.start();
  await settle();
  expect(page.states.at(-1)).toBe("refused");
});

test("events come by message, and those that were lost by REST", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.say({ type: "event", number: 0, event: 1, seconds: 1, text: "first" });
  expect(page.eventRows.map((row) => row.text)).toEqual(["first"]);
  world.eventRows = ["first", "second", "third"].map((text, index) => ({ number: index + 1, seconds: index, text }));
  world.say({ type: "event", number: 0, event: 3, seconds: 3, text: "third" });
  await settle();
  expect(page.eventRows.map((row) => row.text)).toEqual(["first", "second", "third"]);
});

test("a message that is not JSON is ignored", async () => {
  feed.start();
  world.socket.onopen?.();
  await settle();
  world.socket.onmessage?.({ data: "<html>" });
  expect(page.states.at(-1)).toBe("live");
});
