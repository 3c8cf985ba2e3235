import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Link, type Listener, openLink } from "../src/api/events";

/** Stands in for the browser's event stream: tests say what arrives and how it breaks. */
class Stream extends EventTarget {
  static readonly CLOSED = 2;
  static opened: Stream[] = [];
  readyState = 0;

  constructor(readonly path: string) {
    super();
    Stream.opened.push(this);
  }

  close() {
    this.readyState = Stream.CLOSED;
  }

  tell(event: string, data: unknown = {}) {
    this.dispatchEvent(new MessageEvent(event, { data: JSON.stringify(data) }));
  }

  fail(isForGood: boolean) {
    this.readyState = isForGood ? Stream.CLOSED : 0;
    this.dispatchEvent(new Event("error"));
  }
}

let links: Link[];
let told: string[];
let close: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Stream);
  Stream.opened = [];
  links = [];
  told = [];
  const listener: Listener = {
    onSession: (session) => told.push(`session ${session.id}`),
    onGrant: (grant) => told.push(`grant ${grant.id}`),
    onApproval: ({ session }) => told.push(`approval ${session.id}`),
    onAlert: ({ code }) => told.push(`alert ${code}`),
    onReset: () => told.push("reset"),
    onConfiguration: () => told.push("configuration"),
    onLink: (link) => links.push(link),
    onRefused: () => told.push("refused"),
  };
  close = openLink(listener);
});

afterEach(() => {
  close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const stream = () => Stream.opened.at(-1) as Stream;

describe("the live link", () => {
  it("reads everything anew once it is up, then hands on what it hears", () => {
    stream().tell("ready");
    stream().tell("session", { id: "ses_1" });
    stream().tell("grant", { id: "grt_1" });
    stream().tell("approval", { session: { id: "ses_2" }, approval: null });
    stream().tell("alert", { code: "direct_login" });
    stream().tell("configuration");
    expect(links).toEqual(["opening", "live"]);
    expect(told).toEqual([
      "reset",
      "session ses_1",
      "grant grt_1",
      "approval ses_2",
      "alert direct_login",
      "configuration",
    ]);
  });

  it("leaves short breaks to the browser, which resumes where it was", () => {
    stream().tell("ready");
    stream().fail(false);
    stream().tell("ready");
    expect(Stream.opened).toHaveLength(1);
    expect(links).toEqual(["opening", "live", "lost", "live"]);
    expect(told).toEqual(["reset"]);
  });

  it("opens anew, with growing pauses, when the browser gave up; and then reads everything again", () => {
    stream().tell("ready");
    for (const pause of [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      const before = Stream.opened.length;
      stream().fail(true);
      vi.advanceTimersByTime(pause * 0.75 - 1);
      expect(Stream.opened).toHaveLength(before);
      vi.advanceTimersByTime(pause / 4 + 1);
      expect(Stream.opened).toHaveLength(before + 1);
    }
    stream().tell("ready");
    expect(links.at(-1)).toBe("live");
    expect(told.filter((it) => it === "reset")).toHaveLength(2);
    expect(told.filter((it) => it === "refused")).toHaveLength(6);
  });

  it("tries at once when the network is back", () => {
    stream().fail(true);
    globalThis.dispatchEvent(new Event("online"));
    expect(Stream.opened).toHaveLength(2);
  });

  it("stays closed once it is closed", () => {
    stream().fail(true);
    close();
    vi.advanceTimersByTime(60_000);
    expect(Stream.opened).toHaveLength(1);
  });
});
