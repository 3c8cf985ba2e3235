import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isAttended, UNATTENDED } from "../src/api/attention";
import { client } from "../src/api/client";
import { me, newQueryClient } from "../src/api/queries";
import { SayProvider } from "../src/parts/notice";
import { endingOf, SignInEnd, SignInWatch } from "../src/parts/sign-in-end";
import { person, signIn } from "./samples";
import { Server } from "./server";

const NOW = Date.parse("2026-11-23T10:00:00Z");
const MINUTE = 60_000;
const at = (minutes: number) => new Date(NOW + minutes * MINUTE).toISOString();
/** Used half an hour ago, and over in so many minutes. */
const unused = (idle: number, end = 600) =>
  signIn({
    created_at: at(-60),
    last_seen_at: at(-30),
    idle_ends_at: at(Math.min(idle, end)),
    ends_at: at(end),
  });

describe("the end of a sign-in", () => {
  it("is told for the limit that comes first", () => {
    expect(endingOf(unused(6), NOW)).toBeUndefined();
    expect(endingOf(unused(5), NOW)).toEqual({ why: "idle", at: NOW + 5 * MINUTE });
    expect(endingOf(unused(90, 11), NOW)).toBeUndefined();
    expect(endingOf(unused(90, 10), NOW)).toEqual({ why: "limit", at: NOW + 10 * MINUTE });
    expect(endingOf(null, NOW)).toBeUndefined();
  });

  it("is told of a short sign-in in its second half only", () => {
    const short = signIn({ created_at: at(0), last_seen_at: at(0), idle_ends_at: at(4), ends_at: at(600) });
    expect(endingOf(short, NOW + 1.9 * MINUTE)).toBeUndefined();
    expect(endingOf(short, NOW + 2 * MINUTE)?.why).toBe("idle");
  });
});

describe("the line that says it", () => {
  let server: Server;

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
    server = new Server();
    server.stub();
  });

  afterEach(() => {
    cleanup();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const pass = (milliseconds: number) => act(() => vi.advanceTimersByTimeAsync(milliseconds));

  function Page() {
    const { data: known } = useQuery(me);
    return known ? (
      <SignInWatch me={known}>
        <input aria-label="Work" />
        <SignInEnd />
      </SignInWatch>
    ) : (
      <p>signed out</p>
    );
  }

  /** A page whose `me` was read some time ago. */
  async function show(known: ReturnType<typeof signIn>) {
    const queries = newQueryClient();
    queries.setQueryData(me.queryKey, person("alice", ["user"], known));
    render(
      <QueryClientProvider client={queries}>
        <SayProvider>
          <Page />
        </SayProvider>
      </QueryClientProvider>,
    );
    screen.getByLabelText("Work").focus();
    await pass(2_000);
  }

  const answerMe = (known: ReturnType<typeof signIn>) => server.answer(person("alice", ["user"], known));

  it("comes some minutes before without taking the focus, and goes when one stays", async () => {
    answerMe(unused(4));
    await show(unused(4));
    expect(screen.getByRole("alert").textContent).toMatch(/signed out at \d\d:\d\d/);
    expect(screen.getByRole("timer").closest("[role=alert]")).toBeNull();
    expect(document.activeElement).toBe(screen.getByLabelText("Work"));
    const before = server.asked.length;
    answerMe(unused(120));
    fireEvent.click(screen.getByRole("button", { name: "Stay signed in" }));
    await pass(1_000);
    expect(screen.queryByRole("alert")).toBeNull();
    expect(server.asked).toHaveLength(before + 1);
  });

  it("does not come when the sign-in was used elsewhere, and goes when it is", async () => {
    answerMe(unused(120));
    await show(unused(4));
    expect(screen.queryByRole("alert")).toBeNull();
    cleanup();
    answerMe(unused(4));
    await show(unused(4));
    expect(screen.getByRole("alert")).toBeTruthy();
    answerMe(unused(120));
    await pass(15_000);
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("says what cannot be put off, until it was read", async () => {
    answerMe(unused(90, 8));
    await show(unused(90, 8));
    expect(screen.getByRole("alert").textContent).toMatch(/Your sign-in ends at/);
    expect(screen.queryByRole("button", { name: "Stay signed in" })).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: /^Dismiss/ }));
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("asks at the end, and believes the server that it is over", async () => {
    answerMe(unused(0.1));
    await show(unused(0.1));
    expect(screen.getByRole("alert").textContent).toContain("Less than a minute is left.");
    server.refuse(401, "not-signed-in", "the sign-in is over");
    await pass(8_000);
    expect(screen.getByText("signed out")).toBeTruthy();
  });

  it("is not put off by what the page reads by itself", async () => {
    const sent: (string | null)[] = [];
    vi.stubGlobal("fetch", async (request: Request) => {
      sent.push(request.headers.get(UNATTENDED));
      return Response.json({});
    });
    fireEvent.keyDown(document.body, { key: "a" });
    await client.GET("/api/v1/me");
    vi.setSystemTime(Date.now() + 31_000);
    expect(isAttended()).toBe(false);
    await client.GET("/api/v1/me");
    await client.POST("/api/v1/sign-out");
    expect(sent).toEqual([null, "1", null]);
  });
});
