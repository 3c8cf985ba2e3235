import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newQueryClient } from "../src/api/queries";
import { SayProvider } from "../src/parts/notice";
import { ShowAgain } from "../src/parts/proof-dialog";
import { SignInPage } from "../src/routes/sign-in";
import { Server } from "./server";

const server = new Server();
const gone = vi.fn();

beforeEach(() => {
  server.answers = [];
  server.asked = [];
  server.waysIn = [
    { name: "corp", display_name: "Corp", is_default: true },
    { name: "lab", display_name: "The lab", is_default: false },
  ];
  server.stub();
  vi.spyOn(window.location, "assign").mockImplementation(gone);
});

afterEach(() => {
  cleanup();
  gone.mockReset();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function show(part: ReactNode) {
  render(
    <QueryClientProvider client={newQueryClient()}>
      <SayProvider>{part}</SayProvider>
    </QueryClientProvider>,
  );
}

const buttons = () => screen.getAllByRole("button").map((button) => button.textContent);

describe("identity providers", () => {
  it("are offered on the sign-in page, the default one first", async () => {
    show(<SignInPage next="/people" />);
    await screen.findByRole("button", { name: "Sign in with Corp" });
    expect(buttons()).toEqual([
      "Sign in with Corp",
      "Sign in",
      "Sign in with a passkey",
      "Sign in with The lab",
    ]);
    server.answer({ url: "https://lab.example/auth?x=1" });
    fireEvent.click(screen.getByRole("button", { name: "Sign in with The lab" }));
    await waitFor(() => expect(gone).toHaveBeenCalledWith("https://lab.example/auth?x=1"));
    expect(server.asked).toEqual([
      { method: "POST", path: "/sign-in/providers/lab", body: { return_to: "/people" } },
    ]);
  });

  it("are not there where nobody signs in by them", async () => {
    server.waysIn = [];
    show(<SignInPage />);
    expect(buttons()).toEqual(["Sign in", "Sign in with a passkey"]);
  });

  it("say why they led to nothing, until it is tried again", async () => {
    show(<SignInPage refused="not-let-in" />);
    expect(screen.getByText(/not let in here/)).toBeTruthy();
    server.refuse(503, "provider-away", "Corp does not answer.");
    fireEvent.click(await screen.findByRole("button", { name: "Sign in with Corp" }));
    await screen.findByText("Corp does not answer.");
    expect(screen.queryByText(/not let in here/)).toBeNull();
  });

  it("are gone to again to show who one is", async () => {
    show(<ShowAgain methods={["provider", "totp"]} />);
    expect(screen.getByText(/come back to this page/)).toBeTruthy();
    server.answer({ url: "https://corp.example/auth" });
    fireEvent.click(screen.getByRole("button", { name: "Show it where you signed in" }));
    await waitFor(() => expect(gone).toHaveBeenCalledWith("https://corp.example/auth"));
    expect(server.asked).toEqual([
      { method: "POST", path: "/me/proof/provider", body: { return_to: window.location.pathname } },
    ]);
  });
});
