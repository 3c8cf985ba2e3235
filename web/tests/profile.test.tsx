import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { myFactors, mySignIns, myTokens } from "../src/api/account";
import { me, newQueryClient } from "../src/api/queries";
import type { Factors } from "../src/api/view";
import { SayProvider } from "../src/parts/notice";
import { ProfilePage } from "../src/routes/profile";
import { person } from "./samples";
import { Server } from "./server";

const server = new Server();
const AT = "2026-01-01T00:00:00Z";
const times = { created_at: AT, last_seen_at: AT, ends_at: AT };
const here = { id: "sgn_1", peer: "192.0.2.1", agent: "Firefox", second_factor: true, own: true, ...times };
const there = { ...here, id: "sgn_2", peer: "198.51.100.9", agent: "", own: false };
const token = {
  ...{ id: "tok_1", name: "backup script", created_at: AT, expires_at: AT, last_used_at: null },
  ...{ scopes: ["read" as const, "sessions" as const], operator_issued: false },
};

beforeEach(() => {
  server.answers = [];
  server.asked = [];
  server.stub();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** The page, with all that it reads there already. */
function show(factors: Factors = { required: false, totp_since: AT, passkeys: [], recovery_codes_left: 9 }) {
  const queries = newQueryClient();
  queries.setQueryData(myFactors.queryKey, factors);
  queries.setQueryData(mySignIns.queryKey, [here, there]);
  queries.setQueryData(myTokens.queryKey, [token]);
  queries.setQueryData(me.queryKey, person());
  // What is read anew afterwards is not what these tests are about.
  vi.spyOn(queries, "invalidateQueries").mockResolvedValue();
  render(
    <QueryClientProvider client={queries}>
      <SayProvider>
        <ProfilePage />
      </SayProvider>
    </QueryClientProvider>,
  );
  return queries;
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

it("lists sign-ins and tokens, and ends sign-ins", async () => {
  const queries = show();
  expect(
    within(screen.getByRole("region", { name: "Sign-ins" })).getByText("This browser, 192.0.2.1"),
  ).toBeTruthy();
  expect(screen.getByText("May: read, sessions")).toBeTruthy();
  server.answer(null, 204);
  press("End the sign-in from 198.51.100.9");
  expect(await screen.findByText("The sign-in is over.")).toBeTruthy();
  expect(queries.invalidateQueries).toHaveBeenCalledWith({ queryKey: ["account"] });
  server.answer({ ended: 1 });
  press("End all others");
  expect(await screen.findByText("Your other sign-ins are over.")).toBeTruthy();
  expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE /sign-ins/sgn_2",
    "POST /sign-ins/end",
  ]);
});

it("shows new recovery codes once", async () => {
  show();
  expect(screen.getByText(/9 recovery codes are left/)).toBeTruthy();
  server.answer({ recovery_codes: ["aaaa-bbbb"] }, 201);
  press("New recovery codes");
  await screen.findByText("aaaa-bbbb");
  press("I have kept them");
  await waitFor(() => expect(screen.queryByText("aaaa-bbbb")).toBeNull());
});

it("does not offer to take off what one must have", () => {
  show({ required: true, totp_since: AT, passkeys: [], recovery_codes_left: 9 });
  expect(screen.getByRole("button", { name: "Replace the app" })).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Take all off" })).toBeNull();
  cleanup();
  show({ required: false, totp_since: null, passkeys: [], recovery_codes_left: 0 });
  expect(screen.getByRole("button", { name: "Set up an authenticator app" })).toBeTruthy();
});

it("changes the password, and says at its field what is wrong", async () => {
  show();
  const write = (label: string, value: string) =>
    fireEvent.change(screen.getByLabelText(label), { target: { value } });
  write("Present password", "old words");
  write("New password", "password1");
  write("New password again", "password2");
  press("Change password");
  expect(await screen.findByText("The two passwords differ.")).toBeTruthy();
  expect(server.asked).toHaveLength(0);
  write("New password again", "password1");
  server.refuse(422, "invalid-input", "wrong", [{ pointer: "/new", message: "Everybody tries this first." }]);
  press("Change password");
  expect(await screen.findByText("Everybody tries this first.")).toBeTruthy();
  write("New password", "a long sentence");
  write("New password again", "a long sentence");
  server.answer(null, 204);
  press("Change password");
  expect(await screen.findByText(/Your password is changed/)).toBeTruthy();
  expect(server.asked[1]?.body).toEqual({ old: "old words", new: "a long sentence" });
  expect((screen.getByLabelText("New password") as HTMLInputElement).value).toBe("");
});

it("lists passkeys, and removes one", async () => {
  const key = { id: "psk_1", name: "Laptop", created_at: AT, last_used_at: null };
  show({ required: true, totp_since: null, passkeys: [key], recovery_codes_left: 9 });
  const list = within(screen.getByRole("list", { name: "Passkeys" }));
  expect(list.getByText("Laptop")).toBeTruthy();
  expect(list.getByText("Never used")).toBeTruthy();
  server.refuse(409, "factor-required", "You must have one.");
  press("Remove the passkey Laptop");
  expect(await screen.findByText("You must have one.")).toBeTruthy();
  server.answer(null, 204);
  press("Remove the passkey Laptop");
  expect(await screen.findByText(/The passkey is removed/)).toBeTruthy();
  expect(server.asked.at(-1)).toMatchObject({ method: "DELETE", path: "/me/factors/passkeys/psk_1" });
});
