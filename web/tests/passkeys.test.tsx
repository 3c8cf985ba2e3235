import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { body, client } from "../src/api/client";
import { me as meQuery, newQueryClient } from "../src/api/queries";
import { SayProvider } from "../src/parts/notice";
import { PasskeyForm } from "../src/parts/passkey-form";
import { ProofAsker } from "../src/parts/proof-dialog";
import { SignInPage } from "../src/routes/sign-in";
import { person } from "./samples";
import { Server } from "./server";

const server = new Server();
const get = vi.fn();
const create = vi.fn();
const ASKED = { challenge: "c1", options: { challenge: "AA" }, expires_at: "2026-01-01T00:00:00Z" };
const KEY = { toJSON: () => ({ id: "k1" }) };
const SHOWN = { challenge: "c1", credential: { id: "k1" } };

beforeEach(() => {
  server.answers = [];
  server.asked = [];
  server.stub();
  const read = (options: unknown) => ({ read: options });
  vi.stubGlobal("PublicKeyCredential", {
    parseRequestOptionsFromJSON: read,
    parseCreationOptionsFromJSON: read,
  });
  vi.stubGlobal("navigator", { ...globalThis.navigator, credentials: { get, create } });
});

afterEach(() => {
  cleanup();
  get.mockReset();
  create.mockReset();
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

const press = (name: string) => fireEvent.click(screen.getByRole("button", { name }));

it("signs in with a passkey alone, and says what stopped one", async () => {
  const queries = show(<SignInPage />);
  server.answer(ASKED, 201);
  get.mockRejectedValueOnce(new DOMException("no", "NotAllowedError"));
  press("Sign in with a passkey");
  expect(await screen.findByText(/No passkey was used/)).toBeTruthy();
  server.answer(ASKED, 201);
  server.answer(person());
  get.mockResolvedValueOnce(KEY);
  press("Sign in with a passkey");
  await waitFor(() => expect(queries.getQueryData(meQuery.queryKey)?.user).toBe("alice"));
  expect(get).toHaveBeenLastCalledWith({ publicKey: { read: ASKED.options } });
  expect(server.asked.at(-1)).toMatchObject({ path: "/sign-in/passkey", body: { ticket: null, ...SHOWN } });
});

it("says so where the browser cannot", async () => {
  vi.stubGlobal("PublicKeyCredential", undefined);
  show(<SignInPage />);
  server.answer(ASKED, 201);
  press("Sign in with a passkey");
  expect(await screen.findByText(/cannot use passkeys/)).toBeTruthy();
  expect(get).not.toHaveBeenCalled();
});

it("shows a passkey again before something sensitive", async () => {
  show(<ProofAsker />);
  const needed = { title: "x", detail: "x", status: 403, request_id: "r", fields: [] };
  server.answer({ ...needed, type: "/problems/factor-needed", methods: ["passkey", "recovery_code"] }, 403);
  const act = body(client.POST("/api/v1/me/factors/recovery-codes"));
  await screen.findByText(/asks for your finger/);
  server.answer(ASKED, 201);
  server.answer(person());
  server.answer({ recovery_codes: [] }, 201);
  get.mockResolvedValueOnce(KEY);
  press("Use a passkey");
  await act;
  expect(server.asked[2]).toEqual({ method: "POST", path: "/me/proof", body: { passkey: SHOWN } });
});

it("makes a passkey, and shows the recovery codes of the first", async () => {
  const done = vi.fn();
  show(<PasskeyForm onDone={done} />);
  const name = screen.getByLabelText("Name of the passkey");
  fireEvent.change(name, { target: { value: "Laptop" } });
  server.refuse(422, "invalid-input", "wrong", [{ pointer: "/name", message: "You have one of this name." }]);
  press("Create the passkey");
  expect(await screen.findByText("You have one of this name.")).toBeTruthy();
  server.answer(ASKED, 201);
  server.answer({ recovery_codes: ["aaaa-bbbb"] });
  create.mockResolvedValueOnce(KEY);
  press("Create the passkey");
  await screen.findByText("aaaa-bbbb");
  expect(server.asked.at(-1)?.body).toEqual({ name: "Laptop", ...SHOWN });
  expect(done).not.toHaveBeenCalled();
  press("I have kept them");
  expect(done).toHaveBeenCalled();
});
