import { describe, expect, it } from "vitest";
import type { Lock, Session } from "../src/api/view";
import { extensionText, hint } from "../src/parts/sessions/hint";
import { approval, grant, session } from "./samples";

const now = Date.parse("2026-11-23T10:00:00Z");
const say = (part: Parameters<typeof session>[0]) => hint(session(part), now, "alice");
const lock: Lock = {
  title: "Incident 7",
  text: "Ask the desk",
  scope: "session",
  stage: "locked",
  by: "admin",
  at: "2026-11-23T09:59:00Z",
  last_error: null,
};

describe("the line below a status", () => {
  it("says who has to approve it, how many did, and how long they have", () => {
    const waiting: Partial<Session> = {
      status: "waiting_for_approval",
      user: "carol",
      approvers: ["bob", "Security"],
      approve_by: "2026-11-23T11:05:00Z",
    };
    expect(say({ ...waiting, approvals_needed: 1 })).toBe("waits for bob or Security; 1 h 05 m left");
    expect(say({ ...waiting, approvals_needed: 2, approvals: [approval()] })).toBe(
      "1 of 2, waits for bob or Security; 1 h 05 m left",
    );
    expect(say({ ...waiting, user: "alice" })).toMatch(/^your own; /);
  });

  it("says whose turn it is, and counts that tier alone", () => {
    const tier = { quorum: 2, escalates_at: null, escalates_to: ["ivan"], is_escalated: false };
    const waiting: Partial<Session> = {
      status: "waiting_for_approval",
      user: "carol",
      tiers: [
        { ...tier, approvers: ["bob"], quorum: 1 },
        { ...tier, approvers: ["+manager", "Security"] },
      ],
      tier: 2,
      approvals: [approval(), approval({ id: "apr_2", approver: "dave", tier: 2 })],
    };
    expect(say(waiting)).toBe("tier 2 of 2, 1 of 2, waits for the manager of carol or Security");
    const late = { ...tier, approvers: ["bob"], quorum: 1, is_escalated: true };
    expect(say({ ...waiting, tiers: [late], tier: 1 })).toBe("waits for bob or ivan");
  });

  it("does not count approvals of what it was before a change", () => {
    const text = say({
      status: "waiting_for_approval",
      approvals_needed: 2,
      approvals: [approval({ is_current: false })],
    });
    expect(text).toContain("0 of 2");
  });

  it("counts down to a start, or says that a lock keeps it from beginning", () => {
    const scheduled = { status: "scheduled", wanted_start_at: "2026-11-23T10:01:30Z" } as const;
    expect(say(scheduled)).toBe("begins in 1 m 30 s");
    expect(say({ ...scheduled, lock })).toBe("begins when unlocked: Incident 7");
  });

  it("tells the step that provisioning and clean-up are at, and what is still out", () => {
    const progress = { step: 2, of: 4, text: "adding sudo rule" };
    expect(say({ status: "provisioning", progress })).toBe("2 of 4: adding sudo rule");
    const grants = [grant({ state: "removing" }), grant({ state: "removed" })];
    expect(say({ status: "canceling", grants, progress })).toBe(
      "2 of 4: adding sudo rule; 1 still out there",
    );
    expect(say({ status: "canceling", grants, cleanup_stalled: true })).toBe(
      "clean-up stalled, retrying; 1 still out there",
    );
  });

  it("tells why it failed once nothing is out", () => {
    const reason = { code: "unreachable", detail: "web1 does not answer" };
    expect(say({ status: "failed", reason })).toBe("web1 does not answer");
    expect(say({ status: "failed", reason, grants: [grant()] })).toBe("1 still out there");
  });

  it("shows a lock's title, how far it has come, and what the host said against it", () => {
    expect(say({ status: "locked", lock })).toBe("Incident 7");
    expect(say({ status: "locked", lock: { ...lock, stage: "locking" } })).toBe("locking: Incident 7");
    expect(say({ status: "locked", lock: { ...lock, last_error: "timed out" } })).toBe(
      "the host did not confirm: timed out",
    );
  });

  it("warns an hour before nobody's being there ends it", () => {
    expect(say({ idle_until: "2026-11-23T10:30:00Z" })).toBe("ends in 30 m 00 s if nobody logs in");
    expect(say({ idle_until: "2026-11-23T13:30:00Z" })).toBe("");
  });
});

describe("an extension", () => {
  it("says by how much and how often, or why not", () => {
    const text = (extension: { by: string; left: number } | null) => extensionText(session({ extension }));
    expect(text({ by: "PT30M", left: 2 })).toBe("By at most 30 m at a time; 2 more times.");
    expect(text({ by: "PT1H", left: 1 })).toBe("By at most 1 h at a time; once more.");
    expect(text({ by: "PT1H", left: 0 })).toMatch(/as often as/);
    expect(text(null)).toMatch(/does not allow/);
  });
});
