import { type QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connections, grantsOut, me, newQueryClient, sessionList, standingLocks } from "../src/api/queries";
import type { Me, Session } from "../src/api/view";
import { GrantsWindow } from "../src/parts/grants/window";
import { LocksWindow } from "../src/parts/locks";
import { AccountCell, ActionsCell, EndCell, StatusCell } from "../src/parts/sessions/cells";
import { PageProvider } from "../src/parts/sessions/context";
import { DecideDialog } from "../src/parts/sessions/decide-dialog";
import { ExtendDialog } from "../src/parts/sessions/extend-dialog";
import { LockDialog, UnlockDialog } from "../src/parts/sessions/lock-dialog";
import { Moves, State } from "../src/parts/sessions/state";
import { approval, grant, person, session } from "./samples";
import { Server } from "./server";

const admin = person("admin", ["administrator"]);
let server: Server;
let opened: unknown[];
let shown: string[];

beforeEach(() => {
  server = new Server();
  server.stub();
  opened = [];
  shown = [];
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** Shows a part to somebody, with what the page knows already. */
function show(part: ReactNode, who: Me = admin, prepare: (queries: QueryClient) => void = () => {}) {
  const queries = newQueryClient();
  queries.setQueryData(me.queryKey, who);
  prepare(queries);
  const page = {
    me: who,
    onOpen: (window: unknown) => void opened.push(window),
    onSession: (id: string) => void shown.push(id),
  };
  render(
    <QueryClientProvider client={queries}>
      <PageProvider value={page}>{part}</PageProvider>
    </QueryClientProvider>,
  );
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const write = (label: string | RegExp, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
const may = (part: Partial<Session["actions"]>) => ({ ...session().actions, ...part });

describe("extending", () => {
  const open = session({ extension: { by: "PT30M", left: 2 }, actions: may({ extend: true }) });

  it("asks for minutes within the profile's bounds, and sends them", async () => {
    const close = vi.fn();
    show(<ExtendDialog session={open} onClose={close} />);
    expect(screen.getByText(/2 more times/)).toBeTruthy();
    write("Minutes", "31");
    press("Extend");
    expect(screen.getByText("Write a whole number from 1 to 30.")).toBeTruthy();
    expect(server.asked).toEqual([]);
    write("Minutes", "10");
    server.answer({ ...open, end_at: "2026-11-23T11:10:01.000000Z" });
    press("Extend");
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(server.asked).toEqual([
      { method: "POST", path: `/sessions/${open.id}/extend`, body: { minutes: 10 } },
    ]);
  });

  it("shows a refusal where it was asked for", async () => {
    const close = vi.fn();
    show(<ExtendDialog session={open} onClose={close} />);
    server.refuse(409, "beyond-hours", "The policy's hours end before that.");
    press("Extend");
    expect(await screen.findByText("The policy's hours end before that.")).toBeTruthy();
    expect(close).not.toHaveBeenCalled();
  });

  it("is offered beside the end where it is allowed, and only there", () => {
    show(<EndCell session={open} />);
    press(/extend/);
    expect(opened).toEqual([{ kind: "extend", session: open }]);
    cleanup();
    show(<EndCell session={session({ extension: { by: "PT30M", left: 0 } })} />);
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("a session that is over", () => {
  it("can be requested again by its user", () => {
    const over = session({ status: "completed", actions: may({ end: false }) });
    show(<ActionsCell session={over} />, person());
    press(/again$/);
    expect(opened).toEqual([{ kind: "create", like: over }]);
    cleanup();
    show(<ActionsCell session={over} />, admin);
    expect(screen.queryByRole("button", { name: /again$/ })).toBeNull();
  });

  it("offers no copy of an account that there never was", () => {
    show(<AccountCell session={session({ login_account: "" })} />);
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("locking", () => {
  const open = session({ actions: may({ lock: true }) });

  it("needs a title, and says what each scope means", async () => {
    const close = vi.fn();
    show(<LockDialog session={open} onClose={close} />);
    press("Lock");
    expect(screen.getByText("Write what its user reads first.")).toBeTruthy();
    write(/^Title/, "Incident 7");
    write(/^Text/, "Ask the desk");
    fireEvent.click(screen.getByRole("radio", { name: /Everything on web1/ }));
    server.answer({ ...open, status: "locked" });
    press("Lock");
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(server.asked[0]?.body).toEqual({ title: "Incident 7", text: "Ask the desk", scope: "resource" });
  });

  it("does not offer to lock oneself", () => {
    show(<LockDialog session={{ ...open, user: "admin" }} onClose={() => {}} />);
    expect(screen.getByRole("radio", { name: /Everything of admin/ }).hasAttribute("disabled")).toBe(true);
  });

  it("is undone with a reason; a refusal stays in sight", async () => {
    show(<UnlockDialog session={open} onClose={() => {}} />);
    write("Reason", " all fine ");
    server.refuse(409, "locked-as-a-whole", "alice is locked as a whole: unlock that first");
    press("Unlock");
    expect(await screen.findByText(/unlock that first/)).toBeTruthy();
    expect(server.asked[0]?.body).toEqual({ reason: "all fine" });
  });
});

describe("standing locks", () => {
  const lock = {
    id: "usr_1",
    name: "mallory",
    kind: "User" as const,
    title: "Left the company",
    text: "",
    by: "admin",
    at: "2026-11-23T10:00:00Z",
  };

  it("are listed, and lifted", async () => {
    show(<LocksWindow me={admin} onClose={() => {}} />, admin, (queries) =>
      queries.setQueryData(standingLocks.queryKey, [lock]),
    );
    expect(screen.getByText("Left the company")).toBeTruthy();
    server.answer(null, 204);
    server.answer({ items: [] });
    press("Unlock mallory");
    expect(await screen.findByText("No user and no resource is locked.")).toBeTruthy();
    expect(server.asked[0]).toEqual({ method: "DELETE", path: "/locks/usr_1", body: undefined });
  });

  it("are made by name; a wrong one is told at its field", async () => {
    show(<LocksWindow me={admin} onClose={() => {}} />, admin, (queries) =>
      queries.setQueryData(standingLocks.queryKey, []),
    );
    fireEvent.change(screen.getByLabelText("What"), { target: { value: "resource" } });
    write(/^Name/, "db9");
    write(/^Title/, "Forensics");
    server.refuse(422, "invalid-input", "Correct it.", [
      { pointer: "/resource", message: "there is none with this name or id" },
    ]);
    press("Lock");
    expect(await screen.findByText("there is none with this name or id")).toBeTruthy();
    expect(server.asked[0]?.body).toEqual({ resource: "db9", title: "Forensics", text: "" });
    expect(screen.getByLabelText(/^Name/).getAttribute("aria-invalid")).toBe("true");
  });

  it("are only shown to who may see but not lock", () => {
    const auditor = person("eve", ["auditor"]);
    show(<LocksWindow me={auditor} onClose={() => {}} />, auditor, (queries) =>
      queries.setQueryData(standingLocks.queryKey, [lock]),
    );
    expect(screen.getByText("mallory")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /Lock|Unlock/ })).toBeNull();
  });
});

describe("deciding about requests", () => {
  const asked = (part: Partial<Session> = {}) =>
    session({ status: "waiting_for_approval", actions: may({ decide: true }), notes: "It is down", ...part });

  it("takes a reason, and may make it shorter", async () => {
    const close = vi.fn();
    const one = asked();
    show(<DecideDialog sessions={[one]} isYes onClose={close} />);
    expect(screen.getByText("It is down")).toBeTruthy();
    press("Approve");
    expect(screen.getByText(/^Write why/)).toBeTruthy();
    write(/^Reason/, "go on");
    write(/^Shorter/, "61");
    press("Approve");
    expect(screen.getByText(/from 1 to 60/)).toBeTruthy();
    write(/^Shorter/, "20");
    server.answer({ ...one, status: "provisioning" });
    press("Approve");
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(server.asked).toEqual([
      { method: "POST", path: `/sessions/${one.id}/approve`, body: { reason: "go on", duration: "PT20M" } },
    ]);
  });

  it("leaves out what is one's own or decided already, and says so", () => {
    const done = asked({ approvals: [approval({ approver: "admin" })] });
    show(<DecideDialog sessions={[asked(), done]} isYes={false} onClose={() => {}} />);
    expect(screen.getByRole("heading", { name: "Deny this request?" })).toBeTruthy();
    expect(screen.getByText(/not for you to decide about/)).toBeTruthy();
  });

  it("tells for each of several what became of it", async () => {
    const close = vi.fn();
    const [one, two] = [asked(), asked({ resource: "db1" })];
    show(<DecideDialog sessions={[one, two]} isYes={false} onClose={close} />);
    write(/^Reason/, "not today");
    const problem = {
      type: "/problems/not-waiting",
      title: "not-waiting",
      status: 409,
      detail: "the session is canceled, not waiting for approval",
      request_id: "r",
      fields: [],
    };
    server.answer({
      items: [
        { id: one.id, session: { ...one, status: "denied", listed: false } },
        { id: two.id, problem },
      ],
    });
    press("Deny");
    expect(await screen.findByText(/not waiting for approval/)).toBeTruthy();
    expect(server.asked.map((it) => it.path)).toEqual(["/sessions/deny"]);
    expect(screen.getByText("Denied")).toBeTruthy();
    expect(close).not.toHaveBeenCalled();
  });

  it("shows the only refusal at its field, to be mended at once", async () => {
    show(<DecideDialog sessions={[asked()]} isYes onClose={() => {}} />);
    write(/^Reason/, "go on");
    server.refuse(422, "invalid-input", "Correct it.", [{ pointer: "/reason", message: "write less" }]);
    press("Approve");
    expect(await screen.findByText("write less")).toBeTruthy();
    expect(screen.getByRole("button", { name: "Approve" })).toBeTruthy();
  });
});

describe("the state of a session", () => {
  it("marks a direct log-in in its row", () => {
    const open = session({ status: "logged_in" });
    const direct = {
      id: "con_1",
      session: open.id,
      peer: "10.1.1.7",
      direct: true,
      opened_at: "2026-11-23T10:00:02Z",
      closed_at: null,
      close_reason: null,
    };
    show(<StatusCell session={open} />, admin, (queries) =>
      queries.setQueryData(connections(open.id).queryKey, [direct]),
    );
    expect(screen.getByText("direct log-in").title).toContain("10.1.1.7");
  });

  it("says that somebody else has to decide about one's own request", () => {
    show(<State session={session({ status: "waiting_for_approval", approvers: ["bob"] })} />, person());
    expect(screen.getByText(/your own request/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("shows the message of a lock, and the way to one of a whole user", () => {
    const lock = {
      title: "Incident 7",
      text: "Ask the desk",
      scope: "user" as const,
      stage: "locked" as const,
      by: "admin",
      at: "2026-11-23T10:00:00Z",
      last_error: null,
    };
    show(<State session={session({ status: "locked", lock })} />);
    expect(screen.getByText("Incident 7")).toBeTruthy();
    expect(screen.getByText("Ask the desk")).toBeTruthy();
    press("Standing locks");
    expect(opened).toEqual([{ kind: "locks" }]);
  });

  it("lists what is still out there, with what keeps it", () => {
    const grants = [
      grant({ state: "removing", description: "sudo rule", last_error: "timed out" }),
      grant({ state: "removed" }),
    ];
    show(<State session={session({ status: "canceling", grants, cleanup_stalled: true })} />);
    expect(screen.getByText("Still out there: 1")).toBeTruthy();
    expect(within(screen.getByRole("listitem")).getByText(/timed out/)).toBeTruthy();
    expect(screen.getByText(/failing for more than a minute/)).toBeTruthy();
  });

  it("lets a failed one be tried again; a refusal is shown beside", async () => {
    const failed = session({ status: "failed", actions: may({ retry: true, dismiss: true, end: false }) });
    show(<Moves session={failed} />);
    server.refuse(
      409,
      "not-clean",
      "privileges of this session are still out there: wait until they are gone",
    );
    press("Retry");
    expect(await screen.findByText(/still out there/)).toBeTruthy();
    expect(server.asked[0]?.path).toBe(`/sessions/${failed.id}/retry`);
  });
});

describe("the ledger", () => {
  function ledger(who: Me) {
    const stalled = session({ id: "ses_a", status: "canceling", cleanup_stalled: true });
    const stuck = grant({
      id: "grt_a",
      session: "ses_a",
      state: "removing",
      attempts: 7,
      last_error: "no answer",
    });
    show(<GrantsWindow me={who} onClose={() => {}} />, who, (queries) => {
      queries.setQueryData(grantsOut.queryKey, new Map([[stuck.id, stuck]]));
      for (const scope of ["all", "mine"] as const)
        queries.setQueryData(sessionList("active", scope).queryKey, new Map([[stalled.id, stalled]]));
    });
  }

  it("tells attempts, the last error and that it stalls, and leads to the session", () => {
    ledger(admin);
    const row = within(screen.getByRole("row", { name: /no answer/ }));
    expect(row.getByText("7 times")).toBeTruthy();
    expect(row.getByText("Stalled")).toBeTruthy();
    press(/^Session of/);
    expect(shown).toEqual(["ses_a"]);
  });

  it("lets administrators have a removal tried now, and shows why not", async () => {
    ledger(admin);
    server.refuse(409, "not-removing", "It is not being removed.");
    press(/^Try now/);
    expect(await screen.findByText("It is not being removed.")).toBeTruthy();
    expect(server.asked[0]).toEqual({ method: "POST", path: "/grants/grt_a/try-now", body: undefined });
  });

  it("offers that to nobody else", () => {
    ledger(person());
    expect(screen.queryByRole("button", { name: /Try now/ })).toBeNull();
  });
});
