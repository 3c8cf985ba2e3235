import { describe, expect, it } from "vitest";
import type { Session } from "../src/api/view";
import {
  isNarrowed,
  nextSort,
  readSearch,
  select,
  selectionIn,
  type View,
  viewOf,
  writeView,
} from "../src/parts/sessions/view";
import { session } from "./samples";

const all = viewOf({});
const found = (sessions: Session[], part: Partial<View>) =>
  select(sessions, { ...all, ...part }, "alice").map((it) => it.id);

describe("search and filters", () => {
  const one = session({
    id: "1",
    resource: "Web1",
    status: "logged_in",
    notes: "Änderung 42",
    ticket: "CHG-7",
  });
  const two = session({
    id: "2",
    resource: "db1",
    user: "bob",
    activity: "Read logs",
    login_account: "bob-web",
  });
  const list = [one, two];

  it.each([
    ["the status as it is written on the page", "logged in", ["1"]],
    ["the user, whatever the case", "BOB", ["2"]],
    ["notes, also composed otherwise", "a\u0308nderung", ["1"]],
    ["the ticket", "chg-7", ["1"]],
    ["the activity", "read", ["2"]],
    ["resource or account", "web", ["1", "2"]],
    ["nothing, with spaces around", "  ", ["1", "2"]],
    ["what nobody has", "xyzzy", []],
  ])("finds by %s", (_, q, ids) => {
    expect(found(list, { q, sort: { key: "resource", isDescending: true } })).toEqual(ids);
  });

  it("takes the resource's name only from the resource", () => {
    expect(found(list, { resource: "web" })).toEqual(["1"]);
  });

  it("joins statuses and activities by or, different filters by and", () => {
    expect(found(list, { statuses: ["logged_in", "available"] })).toHaveLength(2);
    expect(found(list, { statuses: ["logged_in"], activities: ["Read logs"] })).toEqual([]);
  });

  it("shows one's own sessions when asked for them", () => {
    expect(found(list, { isMine: true })).toEqual(["1"]);
  });

  it("knows whether anything is hidden by filters", () => {
    expect(isNarrowed(all)).toBe(false);
    expect(isNarrowed({ ...all, q: " " })).toBe(false);
    expect(isNarrowed({ ...all, statuses: ["failed"] })).toBe(true);
  });
});

describe("sorting", () => {
  const by = (key: View["sort"]["key"], isDescending: boolean, list: Session[]) =>
    found(list, { sort: { key, isDescending } });

  it("puts numbers inside names in their order", () => {
    const list = [session({ id: "a", resource: "web10" }), session({ id: "b", resource: "web9" })];
    expect(by("resource", false, list)).toEqual(["b", "a"]);
    expect(by("resource", true, list)).toEqual(["a", "b"]);
  });

  it("follows the life of a session for the status", () => {
    const list = (["failed", "provisioning", "canceling", "available"] as const).map((status) =>
      session({ id: status, status }),
    );
    expect(by("status", false, list)).toEqual(["provisioning", "available", "canceling", "failed"]);
  });

  it("keeps what has no value last, up and down", () => {
    const list = [
      session({ id: "none", start_at: null }),
      session({ id: "late", start_at: "2026-11-23T12:00:00Z" }),
      session({ id: "early", start_at: "2026-11-23T09:00:00Z" }),
    ];
    expect(by("start_at", false, list)).toEqual(["early", "late", "none"]);
    expect(by("start_at", true, list)).toEqual(["late", "early", "none"]);
  });

  it("goes by the wanted start of what has not begun", () => {
    const list = [
      session({ id: "late", start_at: null, wanted_start_at: "2026-11-25T09:00:00Z" }),
      session({ id: "early", start_at: null, wanted_start_at: "2026-11-24T09:00:00Z" }),
    ];
    expect(by("start_at", false, list)).toEqual(["early", "late"]);
  });

  it("keeps one order among equals, wherever they stood before", () => {
    const list = ["1", "2", "3"].map((id) => session({ id }));
    expect(by("user", false, list)).toEqual(by("user", false, list.toReversed()));
  });

  it("goes up on the first click, down on the second", () => {
    const first = nextSort({ key: "requested_at", isDescending: true }, "user");
    expect(first).toEqual({ key: "user", isDescending: false });
    expect(nextSort(first, "user").isDescending).toBe(true);
    expect(nextSort(nextSort(first, "user"), "user").isDescending).toBe(false);
  });
});

describe("the view in the URL", () => {
  it("comes back as it was written", () => {
    const view: View = {
      q: "a&b=c",
      resource: "db",
      statuses: ["available", "failed"],
      activities: ["Full root"],
      from: "",
      until: "",
      sort: { key: "end_at", isDescending: true },
      isMine: true,
    };
    expect(viewOf(readSearch({ ...writeView(view) }))).toEqual(view);
  });

  it("is empty at the defaults", () => {
    expect(writeView(all)).toEqual({});
  });

  it("has another default order on each list", () => {
    expect(viewOf({}, "scheduled").sort).toEqual({ key: "start_at", isDescending: false });
    expect(writeView(viewOf({}, "history"), "history")).toEqual({});
    expect(readSearch({ sort: "-requested_at" }, "history")).toEqual({ sort: "-requested_at" });
  });

  it("is asked by day in the past only", () => {
    const search = { from: "2026-11-01", until: "2026-11-30" };
    expect(viewOf(readSearch(search, "history"), "history")).toMatchObject(search);
    expect(readSearch(search, "active")).toEqual({});
    expect(readSearch({ from: "2026-02-30", until: "soon" }, "history")).toEqual({});
    expect(isNarrowed(viewOf(search, "history"))).toBe(true);
  });

  it("makes the best of nonsense", () => {
    expect(viewOf(readSearch({ q: 7, status: ["open", "failed"], sort: "-price", scope: "world" }))).toEqual({
      ...all,
      statuses: ["failed"],
    });
  });
});

describe("the selection", () => {
  it("holds only sessions that are in the list", () => {
    const selection = { here: true, gone: true, unticked: false };
    const list = [session({ id: "here" }), session({ id: "unticked" }), session({ id: "other" })];
    expect(selectionIn(selection, list)).toEqual({ here: true });
    expect(selectionIn(selection, [])).toEqual({});
  });
});
