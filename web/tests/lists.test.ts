import { describe, expect, it } from "vitest";
import { belongsTo, canDecide, canRunAgain } from "../src/api/lists";
import { approval, session } from "./samples";

const may = { ...session().actions, decide: true };
const waiting = session({ status: "waiting_for_approval", user: "carol", actions: may });

describe("which list a session is on", () => {
  const on = (list: "active" | "scheduled", it = session()) => belongsTo(list, "all", "bob")(it, false);

  it("is Scheduled before its start, then Active, then neither", () => {
    const scheduled = session({ status: "scheduled" });
    expect([on("scheduled", scheduled), on("active", scheduled)]).toEqual([true, false]);
    expect([on("scheduled"), on("active")]).toEqual([false, true]);
    const over = session({ status: "completed", listed: false });
    expect([on("scheduled", over), on("active", over)]).toEqual([false, false]);
  });

  it("is not one's own list for what others requested, though approvers hear of it", () => {
    expect(belongsTo("active", "mine", "bob")(waiting, false)).toBe(false);
    expect(belongsTo("active", "mine", "carol")(waiting, false)).toBe(true);
  });

  it("is Approvals while it waits for one's decision, or for others after one's own", () => {
    const on = belongsTo("approvals", "mine", "bob");
    expect(on(waiting, false)).toBe(true);
    const others = { ...waiting, actions: { ...may, decide: false } };
    expect(on(others, false)).toBe(false);
    expect(on(others, true)).toBe(true);
    expect(on({ ...waiting, status: "provisioning" }, true)).toBe(false);
  });

  it("is Approvals while an extension waits", () => {
    const on = belongsTo("approvals", "mine", "bob");
    const wish = {
      number: 1,
      by: "PT20M",
      requested_by: "carol",
      requested_at: "",
      approve_by: "",
      is_approved: false,
    };
    expect(on({ ...waiting, status: "available", wish }, false)).toBe(true);
    expect(on({ ...waiting, status: "available", wish: { ...wish, is_approved: true } }, true)).toBe(false);
    // What was said about the session itself is no vote about it.
    const asked = { ...waiting, status: "available" as const, wish };
    expect(canDecide({ ...asked, approvals: [approval({ approver: "bob" })] }, "bob")).toBe(true);
    expect(canDecide({ ...asked, approvals: [approval({ approver: "bob", extension: 1 })] }, "bob")).toBe(
      false,
    );
  });

  it("is never Approvals for one's own request", () => {
    expect(belongsTo("approvals", "all", "carol")(waiting, true)).toBe(false);
  });
});

describe("requesting again", () => {
  it("is for one's own that are over", () => {
    expect(canRunAgain(session({ status: "completed" }), "alice")).toBe(true);
    expect(canRunAgain(session({ status: "completed" }), "bob")).toBe(false);
    expect(canRunAgain(session({ status: "available" }), "alice")).toBe(false);
    // That one is tried again.
    expect(canRunAgain(session({ status: "failed" }), "alice")).toBe(false);
  });
});

describe("a decision", () => {
  it("is made once by each, unless what was approved has changed", () => {
    const after = (part: Parameters<typeof approval>[0]) =>
      canDecide({ ...waiting, approvals: [approval(part)] }, "bob");
    expect(canDecide(waiting, "bob")).toBe(true);
    expect(after({ approver: "bob" })).toBe(false);
    expect(after({ approver: "dave" })).toBe(true);
    expect(after({ approver: "bob", is_current: false })).toBe(true);
  });
});
