import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { me, newQueryClient } from "../src/api/queries";
import { InvitationPage } from "../src/routes/invitation";
import { SetUpPage } from "../src/routes/set-up";
import { Server } from "./server";

let server: Server;

beforeEach(() => {
  server = new Server();
  server.stub();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  globalThis.history.replaceState(null, "", "/");
});

function open(component: () => React.ReactNode, address: string) {
  globalThis.history.replaceState(null, "", address);
  const router = createRouter({
    routeTree: createRootRoute({ component }),
    history: createMemoryHistory(),
  });
  const queries = newQueryClient();
  render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  return queries;
}

async function choose(password: string, again = password) {
  fireEvent.change(await screen.findByLabelText("Password"), { target: { value: password } });
  fireEvent.change(screen.getByLabelText("Password again"), { target: { value: again } });
  fireEvent.click(screen.getByRole("button", { name: /^Set password/ }));
}

describe.each([
  { name: "the page of an invitation", page: InvitationPage, at: "/invitation", to: "/accept-invitation" },
  { name: "the set-up page", page: SetUpPage, at: "/set-up", to: "/set-up" },
])("$name", ({ page, at, to }) => {
  it("asks nobody for a password that is short or written differently", async () => {
    open(page, `${at}#cardea-x`);
    await choose("short");
    expect(await screen.findByText("Write at least 8 characters.")).toBeTruthy();
    await choose("a long sentence", "another sentence");
    expect(await screen.findByText("The two passwords differ.")).toBeTruthy();
    expect(server.asked).toEqual([]);
  });

  it("leaves it to the server to say that a link is spoilt", async () => {
    open(page, `${at}#cardea-%-x`);
    server.refuse(401, "wrong-credentials", "this link was used already");
    await choose("a long sentence");
    expect(await screen.findByText(/used already/)).toBeTruthy();
    expect(server.asked).toEqual([
      { method: "POST", path: to, body: { token: "cardea-%-x", password: "a long sentence" } },
    ]);
  });

  it("says that a link is not complete", async () => {
    open(page, at);
    expect(await screen.findByText(/not complete/)).toBeTruthy();
  });
});

it("an invitation sets the password once, forgets the token and leads to the sign-in", async () => {
  open(InvitationPage, "/invitation#cardea-invitation-x");
  server.answer(null, 204);
  await choose("a long sentence");
  expect(await screen.findByRole("link", { name: "Sign in with it" })).toBeTruthy();
  expect(globalThis.location.hash).toBe("");
});

it("the set-up sets the administrator's password, forgets the token and signs in", async () => {
  const queries = open(SetUpPage, "/set-up#cardea-set-up-x");
  server.answer({ user: "admin" });
  await choose("a long sentence");
  await waitFor(() => expect(queries.getQueryData(me.queryKey)?.user).toBe("admin"));
  expect(globalThis.location.hash).toBe("");
});
