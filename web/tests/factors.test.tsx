import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { body, client } from "../src/api/client";
import { me as meQuery, newQueryClient } from "../src/api/queries";
import { SayProvider } from "../src/parts/notice";
import { ProofAsker } from "../src/parts/proof-dialog";
import { Incomplete } from "../src/routes/gate";
import { SignInPage } from "../src/routes/sign-in";
import { person, signIn } from "./samples";
import { Server } from "./server";

const server = new Server();

beforeEach(() => {
  server.answers = [];
  server.asked = [];
  server.stub();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(part: ReactNode) {
  const queries = newQueryClient();
  render(
    <QueryClientProvider client={queries}>
      <SayProvider>{part}</SayProvider>
    </QueryClientProvider>,
  );
  return queries;
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const write = (label: string, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
const want = (status: number, slug: string, more: object) =>
  server.answer(
    {
      type: `/problems/${slug}`,
      title: slug,
      status,
      detail: `${slug}.`,
      request_id: "r",
      fields: [],
      ...more,
    },
    status,
  );

describe("signing in", () => {
  it("asks for a code where there is a second factor, or takes a recovery code", async () => {
    const queries = show(<SignInPage />);
    write("User", "alice");
    write("Password", "secret words");
    want(401, "mfa-required", { methods: ["totp", "recovery_code"], ticket: "t1" });
    press("Sign in");
    await screen.findByLabelText("Code");
    write("Code", "111111");
    server.refuse(401, "wrong-credentials", "The code is wrong.");
    press("Sign in");
    expect(await screen.findByText("The code is wrong.")).toBeTruthy();
    press("Use a recovery code");
    write("Recovery code", "aaaa-bbbb");
    server.answer(person());
    press("Sign in");
    await waitFor(() => expect(queries.getQueryData(meQuery.queryKey)?.user).toBe("alice"));
    expect(server.asked.slice(1)).toEqual([
      { method: "POST", path: "/sign-in/totp", body: { ticket: "t1", code: "111111" } },
      { method: "POST", path: "/sign-in/recovery-code", body: { ticket: "t1", code: "aaaa-bbbb" } },
    ]);
  });
});

describe("whoever must have a second factor", () => {
  it("sets it up before anything else, and is shown the recovery codes once", async () => {
    const queries = show(<Incomplete me={person("alice", ["user"], signIn({ must: "enrol" }))} />);
    const read = vi.spyOn(queries, "invalidateQueries");
    server.answer({
      secret: "ABCDEFGH",
      uri: "otpauth://totp/x?secret=ABCDEFGH",
      expires_at: "2026-01-01T00:00:00Z",
    });
    press("Set up the app");
    expect(await screen.findByRole("img", { name: /QR code/ })).toBeTruthy();
    expect(screen.getByText("ABCDEFGH")).toBeTruthy();
    write("Code that the app shows", "000000");
    server.refuse(422, "invalid-input", "wrong", [{ pointer: "/code", message: "This is not the code." }]);
    press("Confirm");
    expect(await screen.findByText("This is not the code.")).toBeTruthy();
    write("Code that the app shows", "123456");
    server.answer({ recovery_codes: ["aaaa-bbbb", "cccc-dddd"] });
    press("Confirm");
    await screen.findByText("cccc-dddd");
    expect(screen.queryByText("ABCDEFGH")).toBeNull();
    expect(read).not.toHaveBeenCalled();
    press("I have kept them");
    expect(read).toHaveBeenCalledWith({ queryKey: meQuery.queryKey });
  });

  it("shows it when the sign-in was made before", async () => {
    const lacking = signIn({ must: "show_factor", methods: ["totp", "recovery_code"] });
    const queries = show(<Incomplete me={person("alice", ["user"], lacking)} />);
    write("Code", "123456");
    server.answer(person());
    press("Continue");
    await waitFor(() => expect(queries.getQueryData(meQuery.queryKey)?.sign_in).toBeNull());
    expect(server.asked[0]).toEqual({ method: "POST", path: "/me/proof", body: { totp: "123456" } });
  });
});

describe("a sensitive act", () => {
  const act = () =>
    body(
      client.POST("/api/v1/sessions/{id}/approve", { params: { path: { id: "s" } }, body: { reason: "x" } }),
    );
  const needed = () => want(403, "factor-needed", { methods: ["password"] });

  it("asks who somebody is once, then does all that waited", async () => {
    show(<ProofAsker />);
    needed();
    needed();
    const acts = Promise.all([act(), act()]);
    await screen.findByLabelText("Password");
    write("Password", "secret words");
    server.refuse(403, "wrong-factor", "It is wrong.");
    press("Continue");
    expect(await screen.findByText("It is wrong.")).toBeTruthy();
    write("Password", "secret sentence");
    server.answer(person());
    server.answer({ id: "one" });
    server.answer({ id: "two" });
    press("Continue");
    expect((await acts).map((session) => session.id).sort()).toEqual(["one", "two"]);
    expect(server.asked.map((asked) => asked.path)).toEqual([
      ...["/sessions/s/approve", "/sessions/s/approve", "/me/proof", "/me/proof"],
      ...["/sessions/s/approve", "/sessions/s/approve"],
    ]);
    expect(server.asked.at(-1)?.body).toEqual({ reason: "x" });
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  it("is not done when the person cancels", async () => {
    show(<ProofAsker />);
    needed();
    const refused = expect(act()).rejects.toThrow("factor-needed.");
    await screen.findByLabelText("Password");
    press("Cancel");
    await refused;
    expect(server.asked).toHaveLength(1);
  });
});
