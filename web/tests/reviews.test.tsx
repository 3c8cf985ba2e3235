import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newQueryClient, openReviews } from "../src/api/queries";
import type { Review } from "../src/api/view";
import { ReviewsTile, ReviewsWindow } from "../src/parts/reviews";
import { Server } from "./server";

const review: Review = {
  session: "ses_1",
  user: "alice",
  activity: "Linux admin",
  resource: "vault1",
  connection_profile: "emergency",
  notes: "the database is down",
  requested_at: "2026-11-23T10:00:00.000000Z",
  due_at: "2026-11-23T12:00:00.000000Z",
  is_overdue: true,
  is_over: true,
  verdict: null,
  reason: null,
  reviewer: null,
  reviewed_at: null,
  may_review: true,
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

function show(reviews: Review[]) {
  const queries = newQueryClient();
  queries.setQueryData(openReviews.queryKey, reviews);
  render(
    <QueryClientProvider client={queries}>
      <ReviewsTile onOpen={() => {}} />
      <ReviewsWindow onClose={() => {}} />
    </QueryClientProvider>,
  );
}

it("counts what is to be reviewed and what is overdue, and sends what was found with its reason", async () => {
  show([review, { ...review, session: "ses_2", is_overdue: false, may_review: false }]);
  expect(document.body.textContent).toContain("To review: 2, overdue: 1");
  expect(screen.getByText(/Overdue since/)).toBeTruthy();
  const press = () => fireEvent.click(screen.getByRole("button", { name: "Unjustified" }));
  press();
  expect(screen.getByText("Write why.")).toBeTruthy();
  expect(server.asked).toEqual([]);
  fireEvent.change(screen.getByLabelText(/^Reason/), { target: { value: "it was not down" } });
  server.answer({ ...review, verdict: "unjustified" });
  server.answer({ items: [], next: null });
  press();
  await waitFor(() => expect(screen.getByText("Nothing has to be reviewed.")).toBeTruthy());
  expect(server.asked[0]).toEqual({
    method: "POST",
    path: "/sessions/ses_1/review",
    body: { verdict: "unjustified", reason: "it was not down" },
  });
});

it("shows overdue ones first, and offers to justify only what is over", () => {
  const running = { ...review, session: "ses_2", user: "bob", is_overdue: false, is_over: false };
  show([running, review]);
  const [first, second] = screen.getAllByRole("listitem");
  expect(first?.textContent).toContain("by alice");
  expect(second?.textContent).toContain("still running");
  expect(screen.getAllByRole("button", { name: "Justified" })).toHaveLength(1);
  expect(screen.getAllByRole("button", { name: "Unjustified" })).toHaveLength(2);
});

it("takes no room where nothing is to be reviewed", () => {
  const queries = newQueryClient();
  queries.setQueryData(openReviews.queryKey, []);
  render(
    <QueryClientProvider client={queries}>
      <ReviewsTile onOpen={() => {}} />
    </QueryClientProvider>,
  );
  expect(screen.queryByRole("button")).toBeNull();
});
