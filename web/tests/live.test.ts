import type { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { follow } from "../src/api/live";
import { alerts, me, newQueryClient, oneSession, sessionList } from "../src/api/queries";
import type { Session, SessionChange } from "../src/api/view";
import { approval, person, session } from "./samples";

/** Stands in for the browser's event stream. */
class Stream extends EventTarget {
  static readonly CLOSED = 2;
  static last: Stream;
  readyState = 0;

  constructor() {
    super();
    Stream.last = this;
  }

  close() {}

  tell(event: string, data: unknown) {
    this.dispatchEvent(new MessageEvent(event, { data: JSON.stringify(data) }));
    vi.advanceTimersByTime(30);
  }
}

let queries: QueryClient;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Stream);
  queries = newQueryClient();
  queries.setQueryData(me.queryKey, person("bob"));
  for (const list of ["active", "scheduled", "approvals"] as const)
    queries.setQueryData(sessionList(list, "mine").queryKey, new Map());
  stop = follow(queries, () => {});
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const on = (list: "active" | "scheduled" | "approvals"): Session[] => [
  ...(queries.getQueryData(sessionList(list, "mine").queryKey)?.values() ?? []),
];
const told = ({ grants: _, approvals: __, ...change }: Session): SessionChange => change;

describe("events", () => {
  it("move a session from list to list", () => {
    const own = session({ user: "bob", status: "scheduled" });
    Stream.last.tell("session", told(own));
    expect([on("active").length, on("scheduled").length]).toEqual([0, 1]);
    Stream.last.tell("session", told({ ...own, status: "provisioning" }));
    expect([on("active").length, on("scheduled").length]).toEqual([1, 0]);
    Stream.last.tell("session", told({ ...own, status: "completed", listed: false }));
    expect([on("active").length, on("scheduled").length]).toEqual([0, 0]);
  });

  it("bring requests of others to their approver, with what was said, and take them away", () => {
    const actions = { ...session().actions, decide: true };
    const asked = session({ user: "carol", status: "waiting_for_approval", actions });
    Stream.last.tell("approval", { session: told(asked), approval: null });
    expect(on("approvals")).toHaveLength(1);
    expect(on("active")).toHaveLength(0);
    const said = approval({ approver: "dave" });
    Stream.last.tell("approval", { session: told(asked), approval: said });
    expect(on("approvals")[0]?.approvals).toEqual([said]);
    Stream.last.tell("approval", {
      session: told({ ...asked, status: "provisioning" }),
      approval: approval({ approver: "bob" }),
    });
    expect(on("approvals")).toHaveLength(0);
  });

  it("keep a session that is shown by itself, whatever becomes of it", () => {
    const shown = session({ user: "bob" });
    queries.setQueryData(oneSession(shown.id).queryKey, new Map([[shown.id, shown]]));
    Stream.last.tell("session", told({ ...shown, status: "completed", listed: false }));
    expect(queries.getQueryData(oneSession(shown.id).queryKey)?.get(shown.id)?.status).toBe("completed");
  });

  it("have the past read anew when sessions end, once for many", () => {
    const read = vi.spyOn(queries, "invalidateQueries");
    const past = () => read.mock.calls.filter(([filter]) => filter?.queryKey?.[0] === "history").length;
    for (let count = 0; count < 5; count += 1)
      Stream.last.tell("session", told(session({ status: "completed", listed: false })));
    vi.advanceTimersByTime(1_000);
    expect(past()).toBe(1);
  });

  it("keep the newest alerts, and no more than that", () => {
    for (let count = 0; count < 60; count += 1) {
      const text = `number ${count}`;
      Stream.last.tell("alert", {
        at: "2026-11-23T10:00:00Z",
        code: "x",
        text,
        session: null,
        resource: null,
      });
    }
    const kept = queries.getQueryData(alerts.queryKey) ?? [];
    expect(kept).toHaveLength(50);
    expect(kept[0]?.text).toBe("number 59");
  });
});
