import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newQueryClient } from "../src/api/queries";
import { InvitationPage } from "../src/routes/invitation";
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

function open(hash: string) {
  globalThis.history.replaceState(null, "", `/invitation${hash}`);
  const router = createRouter({
    routeTree: createRootRoute({ component: InvitationPage }),
    history: createMemoryHistory(),
  });
  render(
    <QueryClientProvider client={newQueryClient()}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
}

async function choose(password: string, again = password) {
  fireEvent.change(await screen.findByLabelText("Password"), { target: { value: password } });
  fireEvent.change(screen.getByLabelText("Password again"), { target: { value: again } });
  fireEvent.click(screen.getByRole("button", { name: "Set password" }));
}

describe("the page of an invitation", () => {
  it("sets the password once and forgets the token", async () => {
    open("#cardea-invitation-x");
    server.answer(null, 204);
    await choose("a long sentence");
    expect(await screen.findByRole("link", { name: "Sign in with it" })).toBeTruthy();
    expect(server.asked).toEqual([
      {
        method: "POST",
        path: "/accept-invitation",
        body: { token: "cardea-invitation-x", password: "a long sentence" },
      },
    ]);
    expect(globalThis.location.hash).toBe("");
  });

  it("asks nobody for a password that is short or written differently", async () => {
    open("#cardea-invitation-x");
    await choose("short");
    expect(await screen.findByText("Write at least 8 characters.")).toBeTruthy();
    await choose("a long sentence", "another sentence");
    expect(await screen.findByText("The two passwords differ.")).toBeTruthy();
    expect(server.asked).toEqual([]);
  });

  it("says why a link does not work", async () => {
    open("#cardea-invitation-x");
    server.refuse(401, "wrong-credentials", "this invitation was used already");
    await choose("a long sentence");
    expect(await screen.findByText(/used already/)).toBeTruthy();
  });

  it("says that a link is not complete", async () => {
    open("");
    expect(await screen.findByText(/not complete/)).toBeTruthy();
  });
});
