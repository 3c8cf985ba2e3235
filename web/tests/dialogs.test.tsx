import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { activeSessions, me, myActivities, newQueryClient } from "../src/api/queries";
import { EndDialog } from "../src/parts/sessions/end-dialog";
import { Wizard } from "../src/parts/wizard/wizard";
import { activity, person, session, way } from "./samples";

/** What the server answers next, and what it was asked. */
let answers: { status: number; body: unknown }[];
let asked: unknown[];

beforeEach(() => {
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    asked.push(await request.json());
    const { status, body } = answers.shift() ?? { status: 500, body: null };
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(part: ReactNode) {
  const queries = newQueryClient();
  queries.setQueryData(me.queryKey, person());
  queries.setQueryData(activeSessions("mine").queryKey, new Map());
  queries.setQueryData(myActivities.queryKey, [
    activity("Full root", [
      way("web1", "Normal"),
      way("web1", "Long", { max_duration: "PT4H", require_notes: true }),
    ]),
  ]);
  render(<QueryClientProvider client={queries}>{part}</QueryClientProvider>);
  return queries;
}

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const problem = (status: number, slug: string, detail: string, fields: unknown[] = []) => ({
  status,
  body: { type: `/problems/${slug}`, title: slug, status, detail, request_id: "r", fields },
});

describe("the Create Session wizard", () => {
  function goToReview() {
    fireEvent.click(screen.getByRole("radio", { name: /Full root/ }));
    press("Next");
    fireEvent.click(screen.getByRole("checkbox", { name: "web1" }));
    fireEvent.click(screen.getByRole("radio", { name: /Long/ }));
    press("Next");
    fireEvent.change(screen.getByLabelText(/^Notes/), { target: { value: "because" } });
    fireEvent.change(screen.getByLabelText(/^Ticket/), { target: { value: "CHG-1" } });
    press("Next");
    press("Next");
  }

  it("tells beside each field what is missing, and stays on its page", () => {
    show(<Wizard onClose={() => {}} />);
    press("Next");
    expect(screen.getByText("Choose an activity.")).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: /Full root/ }));
    press("Next");
    press("Next");
    expect(screen.getByText("Select at least one resource.")).toBeTruthy();
    fireEvent.click(screen.getByRole("checkbox", { name: "web1" }));
    press("Next");
    expect(screen.getByText("Several access policies fit: choose one.")).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: /Long/ }));
    press("Next");
    press("Next");
    expect(screen.getByLabelText(/^Notes/).getAttribute("aria-invalid")).toBe("true");
  });

  it("keeps what was written on the way back", () => {
    show(<Wizard onClose={() => {}} />);
    goToReview();
    press("Back");
    press("Back");
    expect((screen.getByLabelText(/^Notes/) as HTMLTextAreaElement).value).toBe("because");
  });

  it("sends the request once, shows the session at once, and closes", async () => {
    const close = vi.fn();
    const queries = show(<Wizard onClose={close} />);
    goToReview();
    const made = session({ status: "provisioning" });
    answers = [{ status: 201, body: { request_id: "req_1", items: [made] } }];
    press("Finish");
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(asked).toEqual([
      { activity: "Full root", resources: ["web1"], policy: "Long", notes: "because", ticket: "CHG-1" },
    ]);
    expect(queries.getQueryData(activeSessions("mine").queryKey)?.get(made.id)?.status).toBe("provisioning");
  });

  it("goes back to the field that the server refused", async () => {
    show(<Wizard onClose={() => {}} />);
    goToReview();
    answers = [
      problem(422, "invalid-input", "Correct it.", [{ pointer: "/ticket", message: "no such ticket" }]),
    ];
    press("Finish");
    expect(await screen.findByText("no such ticket")).toBeTruthy();
    expect(screen.getByLabelText(/^Ticket/).getAttribute("aria-invalid")).toBe("true");
  });

  it("shows for each of several sessions what becomes of it", async () => {
    const close = vi.fn();
    const queries = show(<Wizard onClose={close} />);
    queries.setQueryData(myActivities.queryKey, [
      activity("Full root", [way("web1", "Normal"), way("db1", "Normal")]),
    ]);
    fireEvent.click(await screen.findByRole("radio", { name: /Full root/ }));
    press("Next");
    for (const name of ["web1", "db1"]) fireEvent.click(screen.getByRole("checkbox", { name }));
    for (let page = 0; page < 3; page += 1) press("Next");
    const items = [
      session({ status: "provisioning" }),
      session({ status: "waiting_for_approval", resource: "db1", approvers: ["bob"] }),
    ];
    answers = [{ status: 201, body: { request_id: "req_1", items } }];
    press("Finish");
    expect(await screen.findByText("2 sessions are requested")).toBeTruthy();
    expect(screen.getByText("Provisioning")).toBeTruthy();
    expect(screen.getByText(/waits for bob/)).toBeTruthy();
    expect(close).not.toHaveBeenCalled();
    press("Done");
    expect(close).toHaveBeenCalled();
  });

  it("asks for what the profile adds and for a start, and says who has to approve", async () => {
    const choices = ["some", "all"];
    const queries = show(<Wizard onClose={() => {}} />);
    const custom_fields = [
      { name: "impact", label: "Impact", type: "choice" as const, required: true, choices },
    ];
    queries.setQueryData(myActivities.queryKey, [
      activity("Full root", [
        way("web1", "Normal", { custom_fields, requires_approval: true, approvals_needed: 1 }),
      ]),
    ]);
    fireEvent.click(await screen.findByRole("radio", { name: /Full root/ }));
    press("Next");
    fireEvent.click(screen.getByRole("checkbox", { name: "web1" }));
    press("Next");
    press("Next");
    expect(screen.getByText("Fill in: Impact.")).toBeTruthy();
    fireEvent.change(screen.getByLabelText(/^Impact/), { target: { value: "all" } });
    press("Next");
    fireEvent.click(screen.getByRole("radio", { name: /At a time to come/ }));
    fireEvent.change(screen.getByLabelText(/^Date and time/), { target: { value: "2001-01-01T10:00" } });
    press("Next");
    expect(screen.getByText("Write a time to come.")).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: /As soon as/ }));
    press("Next");
    expect(screen.getByText(/Somebody has to approve this/)).toBeTruthy();
  });

  it("says what to do when nothing may be requested", () => {
    const queries = show(null);
    queries.setQueryData(myActivities.queryKey, []);
    render(
      <QueryClientProvider client={queries}>
        <Wizard onClose={() => {}} />
      </QueryClientProvider>,
    );
    expect(screen.getByText(/Ask an administrator/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Next" }).hasAttribute("disabled")).toBe(true);
  });
});

describe("ending sessions", () => {
  it("asks only for those that can be ended, with the reason, and closes when all are ending", async () => {
    const close = vi.fn();
    const [one, over] = [session(), session({ actions: { ...session().actions, end: false } })];
    show(<EndDialog sessions={[one, over]} onClose={close} />);
    answers = [{ status: 200, body: { items: [{ id: one.id, session: { ...one, status: "canceling" } }] } }];
    fireEvent.change(screen.getByLabelText("Reason"), { target: { value: " done " } });
    press("End Session");
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(asked).toEqual([{ ids: [one.id], reason: "done" }]);
  });

  it("shows for each what became of it when one was refused", async () => {
    const close = vi.fn();
    const [one, two] = [session(), session({ resource: "db1" })];
    show(<EndDialog sessions={[one, two]} onClose={close} />);
    const refused = problem(409, "already-ending", "It is ending already.").body;
    answers = [
      {
        status: 200,
        body: {
          items: [
            { id: one.id, session: one },
            { id: two.id, problem: refused },
          ],
        },
      },
    ];
    press("End 2 Sessions");
    expect(await screen.findByText("It is ending already.")).toBeTruthy();
    expect(screen.getByText("Ending")).toBeTruthy();
    expect(close).not.toHaveBeenCalled();
  });

  it("says why nothing was ended when the call itself failed", async () => {
    show(<EndDialog sessions={[session()]} onClose={() => {}} />);
    answers = [problem(503, "unavailable", "The store does not answer: try again soon.")];
    press("End Session");
    expect(await screen.findByText(/The store does not answer/)).toBeTruthy();
  });
});
