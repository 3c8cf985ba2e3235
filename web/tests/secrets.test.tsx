import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newQueryClient } from "../src/api/queries";
import { SayProvider } from "../src/parts/notice";
import { AccountCell, ActionsCell } from "../src/parts/sessions/cells";
import { PageProvider, type Window } from "../src/parts/sessions/context";
import { LaunchDialog } from "../src/parts/sessions/launch-dialog";
import { PasswordDialog } from "../src/parts/sessions/password-dialog";
import { person, session } from "./samples";
import { Server } from "./server";

const server = new Server();
const PASSWORD = "pl3ase-d0-n0t-tell";
let opened: Window[];
let copied: string[];

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  server.answers = [];
  server.asked = [];
  server.stub();
  opened = [];
  copied = [];
  vi.stubGlobal("navigator", {
    ...navigator,
    clipboard: { writeText: async (text: string) => void copied.push(text) },
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const ours = session({ actions: { ...session().actions, launch: true, reveal_password: true } });

function show(part: ReactNode) {
  const queries = newQueryClient();
  const page = { me: person(), onOpen: (window: Window) => opened.push(window), onSession: () => {} };
  render(
    <QueryClientProvider client={queries}>
      <SayProvider>
        <PageProvider value={page}>{part}</PageProvider>
      </SayProvider>
    </QueryClientProvider>,
  );
  return queries;
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
/** Lets the clock jump; the page looks at it once a second. */
const pass = (seconds: number) =>
  act(async () => {
    vi.setSystemTime(Date.now() + (seconds - 1) * 1000);
    await vi.advanceTimersByTimeAsync(1000);
  });

describe("the password of a login account", () => {
  const answer = () => server.answer({ user: ours.login_account, password: PASSWORD, hide_after_s: 20 });

  it("is hidden after the seconds that the profile gives, and asked for anew", async () => {
    answer();
    const queries = show(<PasswordDialog session={ours} onClose={() => {}} />);
    await waitFor(() => expect(screen.getByText(PASSWORD)).toBeTruthy());
    expect(server.asked).toEqual([
      { method: "POST", path: `/sessions/${ours.id}/password`, body: undefined },
    ]);
    await pass(18);
    expect(screen.getByText(PASSWORD)).toBeTruthy();
    await pass(4);
    expect(screen.queryByText(PASSWORD)).toBeNull();
    expect(
      JSON.stringify(
        queries
          .getMutationCache()
          .getAll()
          .map((it) => it.state),
      ),
    ).not.toContain(PASSWORD);
    answer();
    press("Show again");
    await waitFor(() => expect(screen.getByText(PASSWORD)).toBeTruthy());
    expect(server.asked).toHaveLength(2);
  });

  it("is copied without being shown or said", async () => {
    answer();
    show(<AccountCell session={ours} />);
    press(`Copy password of ${ours.login_account}`);
    await waitFor(() => expect(copied).toEqual([PASSWORD]));
    await waitFor(() => expect(document.body.textContent).toContain("Copied the password"));
    expect(document.body.textContent).not.toContain(PASSWORD);
  });

  it("that may not be seen is not offered, and a refusal says why", async () => {
    show(<AccountCell session={session()} />);
    expect(screen.queryByRole("button", { name: /password/ })).toBeNull();
    cleanup();
    server.refuse(409, "refused", "this session is locked by an administrator");
    show(<PasswordDialog session={ours} onClose={() => {}} />);
    await waitFor(() => expect(document.body.textContent).toContain("locked by an administrator"));
  });
});

describe("launching", () => {
  const command = `ssh -p 4422 ${ours.id}@cardea`;
  const launch = (token: string) =>
    server.answer({ command, user: ours.id, token, expires_at: "2026-11-23T10:01:00Z" });

  it("is offered in the row", () => {
    show(<ActionsCell session={ours} />);
    press(/^Launch/);
    expect(opened).toEqual([{ kind: "launch", session: ours }]);
  });

  it("shows the command and a token to copy", async () => {
    launch("cardea-launch-1");
    show(<LaunchDialog session={ours} onClose={() => {}} />);
    await screen.findByText("cardea-launch-1");
    expect(screen.getByText(command)).toBeTruthy();
    press("Copy token");
    await waitFor(() => expect(copied).toEqual(["cardea-launch-1"]));
  });

  it("shows a token no longer than it is good, and makes another", async () => {
    launch("cardea-launch-1");
    show(<LaunchDialog session={ours} onClose={() => {}} />);
    await screen.findByText("cardea-launch-1");
    await pass(62);
    expect(screen.queryByText("cardea-launch-1")).toBeNull();
    launch("cardea-launch-2");
    press("Make another");
    await screen.findByText("cardea-launch-2");
  });
});
