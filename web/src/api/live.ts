// Feeds the event stream into the cache: what the pages show changes by itself, and nothing is ever polled.
import { type QueryClient, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type Link, openLink } from "./events";
import { recordGrant, recordSession, withChanges } from "./journal";
import { Changes, type Grants, mergeGrants, mergeSessions, type Sessions } from "./ledger";
import { grantsOut, me, myActivities } from "./queries";
import type { SessionChange } from "./view";

/** Changes are gathered this long, so that a burst of hundreds is drawn once. */
const GATHER_MS = 25;

/** Keeps the cache live while mounted; tells how the link is. */
export function useLive(): Link {
  const queries = useQueryClient();
  const [link, setLink] = useState<Link>("opening");
  useEffect(() => {
    let gathered = new Changes();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      const changes = gathered;
      gathered = new Changes();
      mergeIntoCache(queries, changes);
    };
    const gather = (add: () => void) => {
      add();
      timer ??= setTimeout(flush, GATHER_MS);
    };
    const close = openLink({
      onSession: (change) => {
        recordSession(change);
        gather(() => gathered.session(change));
      },
      onGrant: (grant) => {
        recordGrant(grant);
        gather(() => gathered.grant(grant));
      },
      onReset: () => refresh(queries),
      // It may be what one may request that changed, or one's own roles.
      onConfiguration: () => invalidate(queries, [me.queryKey, myActivities.queryKey]),
      onLink: setLink,
      onRefused: () => queries.refetchQueries({ queryKey: me.queryKey }, { cancelRefetch: false }),
    });
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [queries]);
  return link;
}

/** Reads everything anew that may have changed. */
export function refresh(queries: QueryClient): Promise<unknown> {
  return invalidate(queries, [me.queryKey, ["sessions"], grantsOut.queryKey, myActivities.queryKey, ["log"]]);
}

function invalidate(queries: QueryClient, keys: QueryKey[]): Promise<unknown> {
  return Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));
}

/**
 * Makes a call and merges the sessions of its answer, as if events had told them. What events told while the call was
 * running is newer than the answer and stays.
 */
export async function take<T>(
  queries: QueryClient,
  call: () => Promise<T>,
  sessionsOf: (answer: T) => SessionChange[],
): Promise<T> {
  const [answer, meanwhile] = await withChanges(call);
  const changes = new Changes();
  for (const session of sessionsOf(answer)) if (!meanwhile.sessions.has(session.id)) changes.session(session);
  for (const grant of meanwhile.grants.values()) changes.grant(grant);
  mergeIntoCache(queries, changes);
  return answer;
}

function mergeIntoCache(queries: QueryClient, changes: Changes): void {
  queries.setQueriesData<Sessions>(
    { queryKey: ["sessions"] },
    (known) => known && mergeSessions(known, changes),
  );
  queries.setQueryData<Grants>(grantsOut.queryKey, (known) => known && mergeGrants(known, changes));
  const touched = new Set([
    ...changes.sessions.keys(),
    ...[...changes.grants.values()].map((it) => it.session),
  ]);
  for (const id of touched) queries.invalidateQueries({ queryKey: ["log", id] });
}
