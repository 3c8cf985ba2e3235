// What each list of sessions is called, where it is, and what it shows.
import type { ListName } from "../../api/lists";
import type { Status } from "../../api/view";

export type ListLook = {
  path: "/" | "/scheduled" | "/approvals" | "/history";
  title: string;
  /** Statuses to filter by; none where all are the same. */
  statuses: Status[];
  /** What is said when there is nothing. */
  empty: string;
  /** Columns that are not shown until somebody asks for them. */
  hidden: string[];
  /** Widths that differ from the usual ones. */
  sizes: Record<string, number>;
};

export const LISTS: Record<ListName, ListLook> = {
  active: {
    path: "/",
    title: "Active sessions",
    statuses: [
      "waiting_for_approval",
      "provisioning",
      "available",
      "logged_in",
      "locked",
      "canceling",
      "failed",
    ],
    empty: "No session is active.",
    hidden: ["duration", "notes", "ticket"],
    sizes: {},
  },
  scheduled: {
    path: "/scheduled",
    title: "Scheduled sessions",
    statuses: [],
    empty: "No session is scheduled.",
    hidden: ["duration", "login_account", "ticket"],
    sizes: { end_at: 130, start_at: 124 },
  },
  approvals: {
    path: "/approvals",
    title: "Approvals",
    statuses: [],
    empty: "Nothing waits for approval.",
    hidden: ["duration"],
    sizes: {
      status: 174,
      requested_at: 112,
      user: 114,
      resource: 90,
      login_account: 130,
      activity: 120,
      start_at: 90,
      end_at: 108,
      notes: 130,
      ticket: 114,
    },
  },
  history: {
    path: "/history",
    title: "History",
    statuses: ["completed", "canceled", "failed", "denied", "expired"],
    empty: "No session is over yet.",
    hidden: [],
    sizes: {
      status: 150,
      requested_at: 116,
      user: 118,
      resource: 100,
      login_account: 136,
      activity: 116,
      start_at: 116,
      end_at: 116,
      notes: 130,
      ticket: 114,
      actions: 72,
    },
  },
};
