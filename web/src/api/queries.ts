// Everything that the pages read, by name. Nothing is polled: answers stay good until an event says otherwise.
import { infiniteQueryOptions, QueryCache, QueryClient, queryOptions } from "@tanstack/react-query";
import { dayStart } from "../parts/time";
import { body, client } from "./client";
import { withChanges } from "./journal";
import { type Grants, mergeGrants, mergeSessions, type Sessions } from "./ledger";
import { belongsTo, type HeldList, type Scope } from "./lists";
import { Problem } from "./problem";
import type { Alert, Grant, Me, Session, SessionChange, Status } from "./view";

/** Rows per request: the server's maximum. */
export const PAGE_ROWS = 1_000;
/** Pages that are read at most: beyond 10,000 rows the page says that it shows only these. */
export const PAGES_MAX = 10;
/** Rows of the past per request: people look at the newest, or search. */
const HISTORY_ROWS = 200;
const RETRY_MAX_MS = 15_000;

/** The cache of this page. Who is signed out anywhere is signed out everywhere. */
export function newQueryClient(): QueryClient {
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        const { status, slug } = Problem.from(error);
        if (status === 401) queries.setQueryData(me.queryKey, null);
        // Since this page was opened, a second factor became a must.
        if (slug === "enrolment-needed") queries.invalidateQueries({ queryKey: me.queryKey });
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: Number.POSITIVE_INFINITY,
        gcTime: Number.POSITIVE_INFINITY,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        networkMode: "always",
        structuralSharing: false,
        retry: (_, error) => Problem.from(error).isUnreachable,
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, RETRY_MAX_MS),
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
  return queries;
}

/** Who is signed in; null for nobody. */
export const me = queryOptions({
  queryKey: ["me"],
  queryFn: async (): Promise<Me | null> => {
    try {
      return await body(client.GET("/api/v1/me"));
    } catch (error) {
      if (Problem.from(error).status === 401) return null;
      throw error;
    }
  },
});

/** The name of the person that is signed in. */
export function userOf(queries: QueryClient): string | undefined {
  return queries.getQueryData(me.queryKey)?.user;
}

/** Whether the person sees everybody's sessions. */
export function seesAll(me: Me): boolean {
  return me.permissions.includes("sessions.see_all");
}

/** A list of sessions that is held as a whole: everybody's for those who may see them, else one's own. */
export function sessionList(list: HeldList, scope: Scope) {
  return queryOptions({
    queryKey: ["sessions", list, scope] as const,
    queryFn: async ({ client: queries }): Promise<Sessions> => {
      const [items, changes] = await withChanges(() =>
        allPages((cursor) =>
          body(
            client.GET("/api/v1/sessions", {
              params: { query: { view: list, scope, limit: PAGE_ROWS, cursor } },
            }),
          ),
        ),
      );
      return mergeSessions(byId(items), changes, belongsTo(list, scope, userOf(queries)));
    },
  });
}

/** The active sessions. */
export const activeSessions = (scope: Scope) => sessionList("active", scope);

/** One session, wherever it is listed: a list of one. */
export function oneSession(id: string) {
  return queryOptions({
    queryKey: ["sessions", "one", id] as const,
    queryFn: async (): Promise<Sessions> => {
      const [session, changes] = await withChanges(() =>
        body(client.GET("/api/v1/sessions/{id}", { params: { path: { id } } })),
      );
      return mergeSessions(byId([session]), changes, (it) => it.id === id);
    },
    gcTime: 60_000,
  });
}

/** What is asked of the past. */
export type HistoryWish = {
  scope: Scope;
  q: string;
  resource: string;
  statuses: Status[];
  /** Requested on these days, the last one included, as `YYYY-MM-DD`; empty for all. */
  from: string;
  until: string;
  sort: string;
};

/** Sessions that are over, page by page: the server searches and sorts. */
export function pastSessions({ scope, q, resource, statuses, from, until, sort }: HistoryWish) {
  const status = statuses.join(",");
  const [requested_from, requested_before] = [dayStart(from), dayStart(until, 1)];
  return infiniteQueryOptions({
    queryKey: ["history", scope, q, resource, status, from, until, sort] as const,
    queryFn: ({ pageParam }) =>
      body(
        client.GET("/api/v1/sessions", {
          params: {
            query: {
              view: "history",
              scope,
              q,
              resource,
              sort,
              limit: HISTORY_ROWS,
              ...(status ? { status } : {}),
              ...(requested_from ? { requested_from } : {}),
              ...(requested_before ? { requested_before } : {}),
              ...(pageParam ? { cursor: pageParam } : {}),
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
    maxPages: PAGES_MAX,
    placeholderData: (before) => before,
    gcTime: 60_000,
  });
}

/** The ledger: every privilege that may be on a host now. */
export const grantsOut = queryOptions({
  queryKey: ["grants"],
  queryFn: async (): Promise<Grants> => {
    const [items, changes] = await withChanges(() =>
      allPages((cursor) =>
        body(client.GET("/api/v1/grants", { params: { query: { state: "out", limit: PAGE_ROWS, cursor } } })),
      ),
    );
    return mergeGrants(new Map(items.map((item: Grant) => [item.id, item])), changes);
  },
});

/** The users and resources that are locked as a whole. */
export const standingLocks = queryOptions({
  queryKey: ["locks"],
  queryFn: async () => (await body(client.GET("/api/v1/locks"))).items,
});

/** Sessions that began without approval and are not reviewed yet, as far as one may see them. */
export const openReviews = queryOptions({
  queryKey: ["reviews"],
  queryFn: async () =>
    (await body(client.GET("/api/v1/reviews", { params: { query: { limit: PAGE_ROWS } } }))).items,
});

/** Who is, or was, logged in to a session. */
export function connections(id: string) {
  return queryOptions({
    queryKey: ["connections", id],
    queryFn: async () =>
      (await body(client.GET("/api/v1/sessions/{id}/connections", { params: { path: { id } } }))).items,
    gcTime: 60_000,
  });
}

/** Alerts since the page was opened, newest first. They only ever come as events. */
export const alerts = queryOptions({
  queryKey: ["alerts"],
  queryFn: (): Alert[] => [],
  initialData: [],
});

/** What the person may do, and where. */
export const myActivities = queryOptions({
  queryKey: ["activities"],
  queryFn: async () => (await body(client.GET("/api/v1/my/activities"))).items,
});

/** The action log of a session. */
export function sessionLog(id: string) {
  return queryOptions({
    queryKey: ["log", id],
    queryFn: async () => {
      const log = await body(client.GET("/api/v1/sessions/{id}/log", { params: { path: { id } } }));
      if (typeof log === "string")
        throw new Problem("unexpected", 200, "Cardea sent the log in another form.");
      return log.items;
    },
    gcTime: 60_000,
  });
}

/** Sessions of an answer by id. */
export function byId(items: SessionChange[]): Sessions {
  return new Map(
    items.map((item): [string, Session] => [
      item.id,
      { ...item, grants: item.grants ?? [], approvals: item.approvals ?? [] },
    ]),
  );
}

type Page<T> = { items: T[]; next?: string | null };

async function allPages<T>(read: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await read(cursor);
    items.push(...answer.items);
    if (!answer.next) break;
    cursor = answer.next;
  }
  return items;
}
