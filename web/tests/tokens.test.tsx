import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { myTokens } from "../src/api/account";
import { me, newQueryClient } from "../src/api/queries";
import type { Me, Token } from "../src/api/view";
import { SayProvider } from "../src/parts/notice";
import { TokensPart } from "../src/parts/tokens";
import { person } from "./samples";
import { Server } from "./server";

const AT = "2026-01-01T00:00:00Z";
const token: Token = {
  ...{ id: "tok_1", name: "backup script", created_at: AT, expires_at: AT, last_used_at: null },
  ...{ scopes: ["read", "sessions"], operator_issued: false },
};
let server: Server;

beforeEach(() => {
  server = new Server();
  server.stub();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(permissions: NonNullable<Me["permissions"]> = ["tokens.create"]) {
  const queries = newQueryClient();
  queries.setQueryData(me.queryKey, { ...person(), permissions } as Me);
  queries.setQueryData(myTokens.queryKey, [token]);
  render(
    <QueryClientProvider client={queries}>
      <SayProvider>
        <TokensPart />
      </SayProvider>
    </QueryClientProvider>,
  );
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

it("makes a token of the scopes that were chosen, and shows it once", async () => {
  show();
  press("New token");
  press("Make");
  expect(screen.getByText("Write what it is for.")).toBeTruthy();
  fireEvent.change(screen.getByLabelText(/^Name/), { target: { value: " nightly " } });
  expect((screen.getByLabelText(/^read/) as HTMLInputElement).disabled).toBe(true);
  fireEvent.click(screen.getByLabelText(/^decide/));
  fireEvent.change(screen.getByLabelText("Ends after"), { target: { value: "7" } });
  server.refuse(422, "invalid-input", "wrong", [{ pointer: "/name", message: "There is one already." }]);
  press("Make");
  expect(await screen.findByText("There is one already.")).toBeTruthy();
  const made = {
    ...token,
    id: "tok_2",
    name: "nightly",
    scopes: ["decide", "read"],
    token: "cardea-token-x",
  };
  server.answer(made, 201);
  server.answer({ items: [made, token] });
  press("Make");
  expect(await screen.findByText("cardea-token-x")).toBeTruthy();
  expect(screen.getByRole("button", { name: "Copy the token" })).toBeTruthy();
  const sent = server.asked[1]?.body as { name: string; scopes: string[]; expires_at: string };
  expect([sent.name, sent.scopes]).toEqual(["nightly", ["read", "decide"]]);
  const days = (Date.parse(sent.expires_at) - Date.now()) / 86_400_000;
  expect(days).toBeGreaterThan(6.9);
  expect(days).toBeLessThanOrEqual(7);
  press("I have kept it");
  expect(screen.queryByText("cardea-token-x")).toBeNull();
  expect(await screen.findByText("nightly")).toBeTruthy();
});

it("revokes a token when asked twice, and says why it cannot", async () => {
  show();
  expect(screen.getByText("May: read, sessions")).toBeTruthy();
  press("Revoke the token backup script");
  const asked = within(screen.getByRole("dialog", { name: "Revoke backup script?" }));
  server.refuse(404, "not-found", "It is gone already.");
  fireEvent.click(asked.getByRole("button", { name: "Revoke" }));
  expect(await asked.findByText("It is gone already.")).toBeTruthy();
  server.answer(null, 204);
  server.answer({ items: [] });
  fireEvent.click(asked.getByRole("button", { name: "Revoke" }));
  expect(await screen.findByText("No program acts in your name.")).toBeTruthy();
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE /tokens/tok_1",
    "DELETE /tokens/tok_1",
    "GET /tokens",
  ]);
});

it("offers no token to whoever may make none", () => {
  show([]);
  expect(screen.queryByRole("button", { name: "New token" })).toBeNull();
});
