import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { alerts, newQueryClient } from "../src/api/queries";
import type { Alert } from "../src/api/view";
import { Alerts } from "../src/parts/alerts";

afterEach(cleanup);

const alert = (text: string, session: string | null = null): Alert => ({
  at: "2026-11-23T10:00:00Z",
  code: "direct_login",
  text,
  session,
  resource: "web1",
});

async function show(known: Alert[]) {
  const queries = newQueryClient();
  queries.setQueryData(alerts.queryKey, known);
  const router = createRouter({
    routeTree: createRootRoute({ component: Alerts }),
    history: createMemoryHistory(),
  });
  render(
    <QueryClientProvider client={queries}>
      {/* The types know the routes of the product; here is none. */}
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("log");
}

it("an alert is said aloud, leads to its session, and goes when it is dismissed", async () => {
  await show([alert("carol logged in past the gateway", "ses_7")]);
  const log = screen.getByRole("log");
  expect(log.textContent).toContain("carol logged in past the gateway");
  expect(screen.getByRole("link").getAttribute("href")).toContain("session=ses_7");
  fireEvent.click(screen.getByRole("button", { name: /^Dismiss: carol/ }));
  await waitFor(() => expect(log.textContent).toBe(""));
});

it("many alerts do not cover the page: the newest are shown, the others counted", async () => {
  await show(["one", "two", "three", "four", "five"].map((text) => alert(text)));
  expect(screen.getAllByRole("listitem")).toHaveLength(3);
  expect(screen.getByText("2 more")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Dismiss all alerts" }));
  await waitFor(() => expect(screen.queryAllByRole("listitem")).toHaveLength(0));
});
