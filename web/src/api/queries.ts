// Everything that the pages read, by name. Nothing is polled: answers stay good until an event says otherwise.
import { QueryCache, QueryClient, queryOptions } from "@tanstack/react-query";
import { body, client } from "./client";
import { withChanges } from "./journal";
import { type Grants, mergeGrants, mergeSessions, type Sessions } from "./ledger";
import { Problem } from "./problem";
import type { Grant, Me, Session } from "./view";

/** Rows per request: the server's maximum. */
export const PAGE_ROWS = 1_000;
/** Pages that are read at most: beyond 10,000 rows the page says that it shows only these. */
export const PAGES_MAX = 10;
const RETRY_MAX_MS = 15_000;

/** The cache of this page. Who is signed out anywhere is signed out everywhere. */
export function newQueryClient(): QueryClient {
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        if (Problem.from(error).status === 401) queries.setQueryData(me.queryKey, null);
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

/** The active sessions: everybody's for those who may see them, else one's own. */
export function activeSessions(scope: "mine" | "all") {
  return queryOptions({
    queryKey: ["sessions", scope],
    queryFn: async (): Promise<Sessions> => {
      const [items, changes] = await withChanges(() =>
        allPages((cursor) =>
          body(
            client.GET("/api/v1/sessions", {
              params: { query: { view: "active", scope, limit: PAGE_ROWS, cursor } },
            }),
          ),
        ),
      );
      return mergeSessions(
        new Map(items.map((item) => [item.id, { ...item, grants: item.grants ?? [] } as Session])),
        changes,
      );
    },
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
