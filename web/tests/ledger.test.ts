import { describe, expect, it } from "vitest";
import { record, withChanges } from "../src/api/journal";
import { Changes, mergeGrants, mergeSessions } from "../src/api/ledger";
import type { Grant, Session, SessionChange } from "../src/api/view";
import { approval, grant, session } from "./samples";

function known(...sessions: Session[]) {
  return new Map(sessions.map((it) => [it.id, it]));
}

function changes(sessions: SessionChange[], grants: Grant[] = []) {
  const all = new Changes();
  for (const it of sessions) all.session(it);
  for (const it of grants) all.grant(it);
  return all;
}

/** As the event stream sends it: without grants. */
function told(it: Session): SessionChange {
  const { grants: _, approvals: __, ...change } = it;
  return change;
}

describe("merging events into the active list", () => {
  it("changes a session and keeps the grants that are known of it", () => {
    const before = session({ grants: [grant()] });
    const after = mergeSessions(known(before), changes([told({ ...before, status: "logged_in" })]));
    expect(after.get(before.id)).toEqual({ ...before, status: "logged_in" });
  });

  it("adds a session that is new, and drops one that left the list", () => {
    const [old, fresh] = [session(), session()];
    const after = mergeSessions(known(old), changes([told(fresh), told({ ...old, listed: false })]));
    expect([...after.keys()]).toEqual([fresh.id]);
    expect(after.get(fresh.id)?.grants).toEqual([]);
  });

  it("puts a grant into its session, in place when it is known", () => {
    const first = grant({ session: "ses_a", state: "placing" });
    const before = session({ id: "ses_a", grants: [first] });
    const second = grant({ session: "ses_a" });
    const after = mergeSessions(known(before), changes([], [{ ...first, state: "placed" }, second]));
    expect(after.get("ses_a")?.grants).toEqual([{ ...first, state: "placed" }, second]);
  });

  it("ignores grants of sessions that are not listed", () => {
    const before = known(session());
    expect([...mergeSessions(before, changes([], [grant({ session: "ses_gone" })]))]).toEqual([...before]);
  });

  it("keeps only the last word about a session", () => {
    const it = session();
    const all = changes([told({ ...it, status: "canceling" }), told({ ...it, listed: false })]);
    expect(mergeSessions(known(it), all).size).toBe(0);
  });

  it("leaves untouched sessions the same objects, so that their rows are not drawn anew", () => {
    const [one, two] = [session(), session()];
    const after = mergeSessions(known(one, two), changes([told({ ...two, status: "canceling" })]));
    expect(after.get(one.id)).toBe(one);
  });
});

describe("approvals", () => {
  it("join the session that they are about, each once", () => {
    const asked = session({ status: "waiting_for_approval" });
    const said = approval();
    const all = new Changes();
    all.approval({ session: told(asked), approval: said });
    const once = mergeSessions(known(asked), all);
    expect(once.get(asked.id)?.approvals).toEqual([said]);
    expect(mergeSessions(once, all).get(asked.id)?.approvals).toEqual([said]);
  });

  it("are kept when an event tells of the session without them", () => {
    const before = session({ approvals: [approval()] });
    const after = mergeSessions(known(before), changes([told({ ...before, status: "provisioning" })]));
    expect(after.get(before.id)?.approvals).toEqual(before.approvals);
  });
});

describe("a list", () => {
  it("is the same object when no change is about it, so that nothing is drawn anew", () => {
    const before = known(session());
    const other = changes([told(session())], [grant({ session: "ses_gone" })]);
    expect(mergeSessions(before, other, (it) => before.has(it.id))).toBe(before);
  });
});

describe("merging events into the ledger", () => {
  it("holds what is placing, placed or removing, and nothing else", () => {
    const states = ["planned", "placing", "placed", "removing", "removed", "preexisting"] as const;
    const after = mergeGrants(
      new Map(),
      changes(
        [],
        states.map((state) => grant({ id: state, state })),
      ),
    );
    expect([...after.keys()]).toEqual(["placing", "placed", "removing"]);
  });

  it("drops a grant when its removal was read back", () => {
    const it = grant({ state: "removing" });
    expect(mergeGrants(new Map([[it.id, it]]), changes([], [{ ...it, state: "removed" }])).size).toBe(0);
  });
});

describe("an answer that is slower than the events", () => {
  it("comes with the events that passed it, and with no others", async () => {
    const [early, late] = [session(), session()];
    const late_grant = grant();
    record((changes) => changes.session(told(early)));
    const [answer, meanwhile] = await withChanges(async () => {
      record((changes) => changes.session(told(late)));
      record((changes) => changes.grant(late_grant));
      return "answer";
    });
    record((changes) => changes.session(told(session())));
    expect(answer).toBe("answer");
    expect([...meanwhile.sessions.keys()]).toEqual([late.id]);
    expect([...meanwhile.grants.keys()]).toEqual([late_grant.id]);
  });
});
