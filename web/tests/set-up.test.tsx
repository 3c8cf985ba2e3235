import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newQueryClient } from "../src/api/queries";
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

function open(hash: string) {
  globalThis.history.replaceState(null, "", `/set-up${hash}`);
  render(
    <QueryClientProvider client={newQueryClient()}>
      <SetUpPage />
    </QueryClientProvider>,
  );
}

function choose(password: string) {
  for (const label of ["Password", "Password again"]) {
    fireEvent.change(screen.getByLabelText(label), { target: { value: password } });
  }
  fireEvent.click(screen.getByRole("button", { name: "Set password and sign in" }));
}

describe("the set-up page", () => {
  it("sets the password and forgets the token", async () => {
    open("#cardea-set-up-x");
    server.answer({ user: "admin" });
    choose("a long sentence");
    await waitFor(() => expect(globalThis.location.hash).toBe(""));
    expect(server.asked).toEqual([
      { method: "POST", path: "/set-up", body: { token: "cardea-set-up-x", password: "a long sentence" } },
    ]);
  });

  it("leaves it to the server to say that a link is spoilt", async () => {
    open("#cardea-%-x");
    server.refuse(401, "wrong-credentials", "this link does not work");
    choose("a long sentence");
    expect(await screen.findByText(/does not work/)).toBeTruthy();
    expect(server.asked).toEqual([
      { method: "POST", path: "/set-up", body: { token: "cardea-%-x", password: "a long sentence" } },
    ]);
  });

  it("says that a link is not complete", () => {
    open("");
    expect(screen.getByText(/not complete/)).toBeTruthy();
  });
});
