import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { directories, factorsOf, keysOf, people, signInsOf } from "../src/api/people";
import { me, newQueryClient, standingLocks } from "../src/api/queries";
import type { Directory, Factors, Me, SshKey, StandingLock, User } from "../src/api/view";
import { SayProvider } from "../src/parts/notice";
import { awayOf, find, stateOf, stateText } from "../src/parts/people/state";
import { PeoplePage } from "../src/routes/people";
import { person } from "./samples";
import { Server } from "./server";

const AT = "2026-11-23T10:00:00Z";
const NOW = Date.parse(AT);

function user(name: string, spec: Partial<User["spec"]> = {}): User {
  const plain = { full_name: "", email: `${name}@example.com`, roles: ["user"], ssh_keys: [], accounts: {} };
  const times = { created_at: AT, updated_at: AT, version: 1 };
  return { id: `usr_${name}`, kind: "User", name, spec: { ...plain, disabled: false, ...spec }, ...times };
}

const NEVER = { created_at: AT, last_used_at: null };

const lockOf = (name: string): StandingLock => ({
  ...{ id: `usr_${name}`, name, kind: "User", title: "Leave", text: "", by: "admin", at: AT },
});

const corp: Directory = {
  ...{ id: "idp_1", name: "corp", users: 7, linked: 6, error: null },
  ...{ due_at: "2026-11-23T10:15:00Z", ended_at: AT, succeeded_at: AT },
  away: [{ id: "usr_dave", name: "dave", reason: "gone", since: AT }],
};

describe("the state of a user", () => {
  it("is why they may do nothing, or that they may", () => {
    const dave = user("dave");
    expect(stateOf(dave, [], NOW)).toBe("active");
    expect(stateOf(dave, [lockOf("dave")], NOW)).toBe("locked");
    expect(stateOf(user("dave", { disabled: true }), [lockOf("bob")], NOW)).toBe("disabled");
    expect(stateOf(user("dave", { expires_at: AT }), [], NOW)).toBe("expired");
    const later = user("dave", { expires_at: "2026-11-23T10:00:01Z" });
    expect(stateOf(later, [], NOW)).toBe("active");
    expect(stateText(later, "active")).toMatch(/^Expires /);
  });

  it("is what their directory says, unless something here says more", () => {
    const dave = user("dave");
    const away = awayOf(dave, [corp]);
    expect(awayOf(user("erin"), [corp])).toBeUndefined();
    expect(stateText(dave, stateOf(dave, [], NOW, away), away)).toBe("Gone from the directory");
    expect(stateOf(dave, [lockOf("dave")], NOW, away)).toBe("locked");
    expect(stateOf(user("dave", { disabled: true }), [], NOW, away)).toBe("disabled");
  });

  it("is found by every word of a search", () => {
    const all = [user("zoe", { full_name: "Zoe Adler" }), user("anna", { roles: ["auditor"] })];
    expect(find(all, "").map((each) => each.name)).toEqual(["anna", "zoe"]);
    expect(find(all, "ADLER zoe").map((each) => each.name)).toEqual(["zoe"]);
    expect(find(all, "auditor adler")).toEqual([]);
  });
});

describe("the people page", () => {
  let server: Server;

  beforeEach(() => {
    server = new Server();
    server.stub();
    // Rows are drawn for the height that there is, and the test's page has none.
    vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
    vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(900);
  });

  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
  });

  const ALL: Me["permissions"] = [
    "configuration.change.user",
    "factors.reset",
    "sign_ins.end",
    "sign_ins.see",
    "users.lock",
  ];

  const KEYS: SshKey[] = [
    { ...{ id: null, name: "work", public_key: "", fingerprint: "SHA256:one", proven: true }, ...NEVER },
    {
      ...{ id: "key_1", name: "laptop", public_key: "", fingerprint: "SHA256:two", proven: false },
      ...NEVER,
    },
  ];

  function show(users: User[], locks: StandingLock[] = [], permissions = ALL, known: Directory[] = []) {
    const queries = newQueryClient();
    queries.setQueryData(me.queryKey, { ...person("admin"), permissions } as Me);
    queries.setQueryData(people.queryKey, users);
    queries.setQueryData(standingLocks.queryKey, locks);
    queries.setQueryData(directories.queryKey, known);
    for (const { name } of users) {
      queries.setQueryData(factorsOf(name).queryKey, {
        ...{ required: true, totp_since: AT, recovery_codes_left: 9 },
        passkeys: [{ id: "psk_1", name: "laptop", created_at: AT, last_used_at: null }],
      } as unknown as Factors);
      queries.setQueryData(signInsOf(name).queryKey, []);
      queries.setQueryData(keysOf(name).queryKey, KEYS);
    }
    vi.spyOn(queries, "invalidateQueries").mockResolvedValue();
    render(
      <QueryClientProvider client={queries}>
        <SayProvider>
          <PeoplePage />
        </SayProvider>
      </QueryClientProvider>,
    );
  }

  const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

  it("draws a part of a thousand rows, and moves through them by keyboard", async () => {
    show(Array.from({ length: 1_000 }, (_, n) => user(`user${String(n).padStart(4, "0")}`)));
    expect(screen.getByRole("grid").getAttribute("aria-rowcount")).toBe("1001");
    expect(screen.getAllByRole("row").length).toBeLessThan(60);
    const first = screen.getByRole("button", { name: "user0000" });
    expect(first.tabIndex).toBe(0);
    first.focus();
    fireEvent.keyDown(first, { key: "ArrowDown" });
    await waitFor(() => expect(document.activeElement?.textContent).toBe("user0001"));
    fireEvent.keyDown(document.activeElement as Element, { key: "End" });
    await waitFor(() => expect(document.activeElement?.textContent).toBe("user0999"));
    fireEvent.change(screen.getByLabelText("Search people"), { target: { value: "user0500" } });
    expect(await screen.findByText("1 of 1000")).toBeTruthy();
    fireEvent.change(screen.getByLabelText("Search people"), { target: { value: "nobody" } });
    expect(await screen.findByText("Nobody matches.")).toBeTruthy();
  });

  it("resets a second factor when asked twice", async () => {
    show([user("dave")]);
    press("dave");
    expect(screen.getByText(/authenticator app since .* and 1 passkey/)).toBeTruthy();
    press("Reset second factor");
    server.refuse(403, "not-allowed", "This user may do more than you.");
    press("Reset");
    expect(await screen.findByText("This user may do more than you.")).toBeTruthy();
    server.answer(null, 204);
    press("Reset");
    expect(await screen.findByText("The second factor of dave is off.")).toBeTruthy();
    expect(server.asked[1]).toEqual({ method: "DELETE", path: "/users/dave/factors", body: undefined });
  });

  it("takes an SSH key away that its user registered, when asked twice", async () => {
    show([user("dave")]);
    press("dave");
    expect(screen.getByText("SHA256:one")).toBeTruthy();
    expect(screen.getByText(/By the configuration/)).toBeTruthy();
    expect(screen.getAllByRole("button", { name: /^Remove/ })).toHaveLength(1);
    press(/^Remove/);
    server.answer(null, 204);
    press("Take away");
    expect(await screen.findByText("dave has the SSH key laptop no more.")).toBeTruthy();
    expect(server.asked[0]).toEqual({
      method: "DELETE",
      path: "/users/dave/ssh-keys/key_1",
      body: undefined,
    });
  });

  it("locks with what the person reads, and unlocks", async () => {
    show([user("dave"), user("erin")], [lockOf("erin")]);
    press("dave");
    press("Lock");
    fireEvent.click(screen.getAllByRole("button", { name: "Lock" }).at(-1) as Element);
    expect(screen.getByText("Write what its user reads first.")).toBeTruthy();
    fireEvent.change(screen.getByLabelText(/^Title/), { target: { value: "Left" } });
    server.answer(lockOf("dave"), 201);
    fireEvent.click(screen.getAllByRole("button", { name: "Lock" }).at(-1) as Element);
    expect(await screen.findByText("dave is locked.")).toBeTruthy();
    expect(server.asked[0]?.body).toEqual({ user: "dave", title: "Left", text: "" });
    press("Close");
    press("erin");
    press("Unlock");
    server.answer(null, 204);
    fireEvent.click(screen.getAllByRole("button", { name: "Unlock" }).at(-1) as Element);
    expect(await screen.findByText("erin is unlocked.")).toBeTruthy();
    expect(server.asked[1]?.path).toBe("/locks/usr_erin");
  });

  it("offers only what one may do, and nobody a lock of themselves", () => {
    show([user("admin"), user("dave")], [], ["configuration.see", "sign_ins.see"]);
    press("dave");
    expect(screen.getByText("SHA256:two")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /Reset|End|Invite|Lock|Remove/ })).toBeNull();
    cleanup();
    show([user("admin")]);
    press("admin");
    expect(screen.queryByRole("button", { name: "Lock" })).toBeNull();
  });

  it("says how a directory goes, and takes most of its people away only when asked twice", async () => {
    const permissions: Me["permissions"] = [...ALL, "configuration.change.identity_provider"];
    show([user("dave"), user("erin")], [], permissions, [corp]);
    expect(screen.getByText("Gone from the directory")).toBeTruthy();
    expect(screen.getByText(/7 users, 5 found, 1 let in no more, 1 never signed in/)).toBeTruthy();
    server.refuse(409, "sync-held", "corp would take 5 of its 6 users away, so nothing was changed.");
    press("Look now");
    expect(await screen.findByText(/would take 5 of its 6/)).toBeTruthy();
    const synced = { checked: 6, gone: ["a", "b", "c", "d", "e"], back: [], regrouped: [] };
    server.answer(synced);
    press("Take them away");
    expect(await screen.findByText("corp was looked at: 5 let in no more.")).toBeTruthy();
    expect(server.asked.map((call) => [call.path, call.body])).toEqual([
      ["/identity-providers/corp/sync", { confirm: false }],
      ["/identity-providers/corp/sync", { confirm: true }],
    ]);
  });

  it("says what keeps a directory from being looked at, to whoever may not look as well", () => {
    const failing = { ...corp, error: "corp cannot be reached", succeeded_at: null };
    show([user("dave")], [], ["configuration.see"], [failing]);
    expect(screen.getByText("The last look changed nothing: corp cannot be reached.")).toBeTruthy();
    expect(screen.getByText("Last good look: never")).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Look now" })).toBeNull();
  });
});
