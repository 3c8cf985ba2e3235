// What the table shows and in which order: search, filters, sort, scope. It lives in the URL, so it can be shared.
import type { ListName } from "../../api/lists";
import type { Session, SessionChange, Status } from "../../api/view";
import { dayStart, shortTime } from "../time";

/** All statuses, in the order of a session's life. */
const STATUSES = [
  "waiting_for_approval",
  "scheduled",
  "provisioning",
  "available",
  "logged_in",
  "locked",
  "canceling",
  "failed",
  "completed",
  "canceled",
  "denied",
  "expired",
] as const satisfies Status[];

const NAMES: Record<Status, string> = {
  waiting_for_approval: "Waiting for Approval",
  scheduled: "Scheduled",
  provisioning: "Provisioning",
  available: "Available",
  logged_in: "Logged In",
  locked: "Locked",
  canceling: "Canceling",
  failed: "Failed",
  completed: "Completed",
  canceled: "Canceled",
  denied: "Denied",
  expired: "Expired",
};

/** A status as people read it. */
export function statusName(status: Status): string {
  return NAMES[status];
}

export const SORT_KEYS = [
  "status",
  "requested_at",
  "user",
  "resource",
  "login_account",
  "activity",
  "start_at",
  "end_at",
] as const;
export type SortKey = (typeof SORT_KEYS)[number];
export type Sort = { key: SortKey; isDescending: boolean };

export type View = {
  q: string;
  resource: string;
  statuses: Status[];
  activities: string[];
  /** Requested on these days, the last one included, as `YYYY-MM-DD`; empty for all. Only the past is asked by day. */
  from: string;
  until: string;
  sort: Sort;
  isMine: boolean;
};

/** The view in the query string; what is at its default is left out. */
export type ViewSearch = {
  q?: string;
  resource?: string;
  status?: string[];
  activity?: string[];
  from?: string;
  until?: string;
  sort?: string;
  scope?: "mine";
};

/** What comes first on each list, unless somebody sorts it. */
const SORTS: Record<ListName, Sort> = {
  active: { key: "requested_at", isDescending: true },
  scheduled: { key: "start_at", isDescending: false },
  approvals: { key: "requested_at", isDescending: false },
  history: { key: "end_at", isDescending: true },
};

/** Reads a query string of any origin: what makes no sense is ignored. */
export function readSearch(search: Record<string, unknown>, list: ListName = "active"): ViewSearch {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const texts = (value: unknown) => {
    const items = (Array.isArray(value) ? value : [value]).filter(
      (item) => typeof item === "string" && item !== "",
    );
    return items.length > 0 ? (items as string[]) : undefined;
  };
  const view = viewOf(
    {
      q: text(search.q),
      resource: text(search.resource),
      status: texts(search.status),
      activity: texts(search.activity),
      from: list === "history" ? text(search.from) : undefined,
      until: list === "history" ? text(search.until) : undefined,
      sort: text(search.sort),
      scope: search.scope === "mine" ? "mine" : undefined,
    },
    list,
  );
  return writeView(view, list);
}

/** The view that a query string asks for. */
export function viewOf(search: ViewSearch, list: ListName = "active"): View {
  return {
    q: search.q ?? "",
    resource: search.resource ?? "",
    statuses: STATUSES.filter((status) => search.status?.includes(status)),
    activities: search.activity ?? [],
    from: readDay(search.from),
    until: readDay(search.until),
    sort: readSort(search.sort) ?? SORTS[list],
    isMine: search.scope === "mine",
  };
}

/** The query string of a view. */
export function writeView(view: View, list: ListName = "active"): ViewSearch {
  const search: ViewSearch = {};
  if (view.q) search.q = view.q;
  if (view.resource) search.resource = view.resource;
  if (view.statuses.length) search.status = view.statuses;
  if (view.activities.length) search.activity = view.activities;
  if (view.from) search.from = view.from;
  if (view.until) search.until = view.until;
  if (sortText(view.sort) !== sortText(SORTS[list])) search.sort = sortText(view.sort);
  if (view.isMine) search.scope = "mine";
  return search;
}

function readDay(text: string | undefined): string {
  return text && dayStart(text) ? text : "";
}

function readSort(text: string | undefined): Sort | undefined {
  const key = SORT_KEYS.find((known) => known === text?.replace(/^-/, ""));
  return key && text ? { key, isDescending: text.startsWith("-") } : undefined;
}

/** A sort as the URL and the API write it. */
export function sortText(sort: Sort): string {
  return `${sort.isDescending ? "-" : ""}${sort.key}`;
}

/** What a click on a column's header leads to: up first, then down, then up again. */
export function nextSort(sort: Sort, key: SortKey): Sort {
  return { key, isDescending: sort.key === key && !sort.isDescending };
}

/** Whether anything is hidden by the view. */
export function isNarrowed(view: View): boolean {
  const days = view.from || view.until;
  return Boolean(
    view.q.trim() || view.resource.trim() || view.statuses.length || view.activities.length || days,
  );
}

/** The sessions that the view lets through, in its order. */
export function select(sessions: Iterable<Session>, view: View, user: string): Session[] {
  const q = fold(view.q);
  const resource = fold(view.resource);
  const found = [...sessions].filter(
    (session) =>
      (!view.isMine || session.user === user) &&
      (view.statuses.length === 0 || view.statuses.includes(session.status)) &&
      (view.activities.length === 0 || view.activities.includes(session.activity)) &&
      fold(session.resource).includes(resource) &&
      haystack(session).includes(q),
  );
  return found.sort(comparator(view.sort));
}

/** Case and accents' spelling do not matter, nor do spaces around. */
export function fold(text: string): string {
  return text.normalize("NFC").toLocaleLowerCase().trim();
}

/** When it began, or else is to begin. */
export function startOf(session: SessionChange): string | null | undefined {
  return session.start_at ?? session.wanted_start_at;
}

const haystacks = new WeakMap<Session, string>();

/** All that a row shows, and what its details say first. Kept per session, since views come and go on every key. */
function haystack(session: Session): string {
  const known = haystacks.get(session);
  if (known !== undefined) return known;
  const texts = [
    statusName(session.status),
    session.user,
    session.resource,
    session.login_account,
    session.activity,
    session.notes,
    session.ticket,
    session.reason?.detail ?? "",
    session.progress?.text ?? "",
    session.lock ? `${session.lock.title}\n${session.lock.text}` : "",
    session.approvers.join("\n"),
    session.deciders.join("\n"),
    Object.values(session.custom).join("\n"),
    shortTime(session.requested_at),
    shortTime(startOf(session)),
    shortTime(session.end_at),
    session.id,
  ];
  const text = fold(texts.join("\n"));
  haystacks.set(session, text);
  return text;
}

const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Compares by the column; what is empty comes last either way; equals keep one order, by id. */
function comparator({ key, isDescending }: Sort): (a: Session, b: Session) => number {
  const sign = isDescending ? -1 : 1;
  const byColumn = (a: Session, b: Session): number => {
    if (key === "status") return sign * (rank(a.status) - rank(b.status));
    const [left, right] = key === "start_at" ? [startOf(a), startOf(b)] : [a[key], b[key]];
    if (!left || !right) return Number(!left) - Number(!right);
    if (key.endsWith("_at")) return sign * (Date.parse(left) - Date.parse(right));
    return sign * words.compare(left, right);
  };
  return (a, b) => byColumn(a, b) || (a.id < b.id ? -sign : sign);
}

function rank(status: Status): number {
  return (STATUSES as readonly Status[]).indexOf(status);
}

/** The part of a selection whose sessions are in the list: ids of those that left it stay behind. */
export function selectionIn(
  selection: Record<string, boolean>,
  sessions: Iterable<Session>,
): Record<string, true> {
  return Object.fromEntries(
    [...sessions].filter(({ id }) => selection[id]).map(({ id }) => [id, true] as const),
  );
}
