// The sessions that a page is about, from the cache that events keep up, or, of the past, page by page.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import type { Sessions } from "../../api/ledger";
import type { ListName } from "../../api/lists";
import { byId, pastSessions, seesAll, sessionList } from "../../api/queries";
import type { Me } from "../../api/view";
import { sortText, type View } from "./view";

/** Typing asks the server when it pauses for so long. */
const PAUSE_MS = 250;
const NONE: Sessions = new Map();

export type Source = {
  known: Sessions;
  /** Whether there is anything to show, be it an empty list. */
  isThere: boolean;
  isPending: boolean;
  isFetching: boolean;
  error: Error | null;
  refetch: () => void;
  hasMore: boolean;
  loadMore: () => void;
};

export function useSessions(list: ListName, me: Me, view: View): Source {
  const held = useHeld(list, me);
  const past = usePast(list === "history", me, view);
  return list === "history" ? past : held;
}

function useHeld(list: ListName, me: Me): Source {
  const scope = seesAll(me) ? "all" : "mine";
  const name = list === "history" ? "active" : list;
  const query = useQuery({ ...sessionList(name, scope), enabled: list !== "history" });
  // One's own requests wait on the same page, though somebody else has to decide about them.
  const active = useQuery({ ...sessionList("active", scope), enabled: list === "approvals" });
  const known = useMemo(() => {
    if (list !== "approvals") return query.data ?? NONE;
    const isOwnWish = ([, it]: [string, { user: string; status: string }]) =>
      it.user === me.user && it.status === "waiting_for_approval";
    return new Map([...(query.data ?? NONE), ...[...(active.data ?? NONE)].filter(isOwnWish)]);
  }, [list, query.data, active.data, me.user]);
  return {
    known,
    isThere: query.data !== undefined,
    isPending: query.isPending,
    isFetching: query.isFetching,
    error: failureOf(query),
    refetch: () => query.refetch(),
    hasMore: false,
    loadMore: () => {},
  };
}

function usePast(isOn: boolean, me: Me, view: View): Source {
  const wish = useSettled({
    scope: seesAll(me) && !view.isMine ? ("all" as const) : ("mine" as const),
    q: view.q.trim(),
    resource: view.resource.trim(),
    statuses: view.statuses,
    from: view.from,
    until: view.until,
    sort: sortText(view.sort),
  });
  const query = useInfiniteQuery({ ...pastSessions(wish), enabled: isOn });
  const known = useMemo(() => byId(query.data?.pages.flatMap((page) => page.items) ?? []), [query.data]);
  return {
    known,
    isThere: query.data !== undefined,
    isPending: query.isPending,
    isFetching: query.isFetching,
    error: failureOf(query),
    refetch: () => query.refetch(),
    hasMore: query.hasNextPage,
    loadMore: () => query.fetchNextPage(),
  };
}

/** Why there is no answer: also while the server is asked again and again, which is not said for a single time. */
function failureOf(query: { error: Error | null; failureCount: number; failureReason: Error | null }) {
  return query.error ?? (query.failureCount > 1 ? query.failureReason : null);
}

/** The value, once it has not changed for a moment. */
function useSettled<T>(value: T): T {
  const text = JSON.stringify(value);
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return useMemo(() => JSON.parse(settled), [settled]);
}
