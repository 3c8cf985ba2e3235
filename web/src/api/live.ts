// Feeds the event stream into the cache: what the pages show changes by itself, and nothing is ever polled.
import { type QueryClient, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type Link, openLink } from "./events";
import { record, withChanges } from "./journal";
import { type Belongs, Changes, type Grants, mergeGrants, mergeSessions, type Sessions } from "./ledger";
import { belongsTo, type HeldList, type Scope } from "./lists";
import { directories, people } from "./people";
import { alerts, grantsOut, me, myActivities, openReviews, standingLocks, userOf } from "./queries";
import type { SessionChange } from "./view";

/** Changes are gathered this long, so that a burst of hundreds is drawn once. */
const GATHER_MS = 25;
/** Pages of the past are read anew at most this often: the end of many sessions comes at once. */
const PAST_MS = 1_000;
/** Alerts that are kept; older ones are in the audit log. */
const ALERTS_MAX = 50;

/** Keeps the cache live while mounted; tells how the link is. */
export function useLive(): Link {
  const queries = useQueryClient();
  const [link, setLink] = useState<Link>("opening");
  useEffect(() => follow(queries, setLink), [queries]);
  return link;
}

/** Merges what the event stream tells into the cache. The result stops it. */
export function follow(queries: QueryClient, onLink: (link: Link) => void): () => void {
  let gathered = new Changes();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pastTimer: ReturnType<typeof setTimeout> | undefined;
  const readPast = () => {
    pastTimer = undefined;
    queries.invalidateQueries({ queryKey: ["history"] });
  };
  const flush = () => {
    timer = undefined;
    const changes = gathered;
    gathered = new Changes();
    mergeIntoCache(queries, changes);
    if ([...changes.sessions.values()].some((session) => !session.listed))
      pastTimer ??= setTimeout(readPast, PAST_MS);
  };
  const gather = (add: (changes: Changes) => void) => {
    record(add);
    add(gathered);
    timer ??= setTimeout(flush, GATHER_MS);
  };
  const close = openLink({
    onSession: (change) => gather((changes) => changes.session(change)),
    onGrant: (grant) => gather((changes) => changes.grant(grant)),
    onApproval: (change) => {
      gather((changes) => changes.approval(change));
      if (change.session.break_glass) queries.invalidateQueries({ queryKey: openReviews.queryKey });
    },
    onAlert: (alert) => {
      queries.setQueryData(alerts.queryKey, (known = []) => [alert, ...known].slice(0, ALERTS_MAX));
      if (alert.session) queries.invalidateQueries({ queryKey: ["connections", alert.session] });
    },
    onReset: () => refresh(queries),
    // It may be what one may request that changed, or one's own roles, or what is locked.
    onConfiguration: () =>
      invalidate(queries, [
        me.queryKey,
        myActivities.queryKey,
        people.queryKey,
        directories.queryKey,
        standingLocks.queryKey,
      ]),
    onLink,
    onRefused: () => queries.refetchQueries({ queryKey: me.queryKey }, { cancelRefetch: false }),
  });
  return () => {
    clearTimeout(timer);
    clearTimeout(pastTimer);
    close();
  };
}

/** Reads everything anew that may have changed. */
export function refresh(queries: QueryClient): Promise<unknown> {
  return invalidate(queries, [
    me.queryKey,
    ["sessions"],
    ["history"],
    grantsOut.queryKey,
    openReviews.queryKey,
    standingLocks.queryKey,
    people.queryKey,
    directories.queryKey,
    myActivities.queryKey,
    ["log"],
    ["connections"],
  ]);
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
  for (const [id, approval] of meanwhile.approvals) changes.approvals.set(id, approval);
  mergeIntoCache(queries, changes);
  return answer;
}

function mergeIntoCache(queries: QueryClient, changes: Changes): void {
  const user = userOf(queries);
  for (const { queryKey } of queries.getQueryCache().findAll({ queryKey: ["sessions"] })) {
    queries.setQueryData<Sessions>(
      queryKey,
      (known) => known && mergeSessions(known, changes, belongs(queryKey, user)),
    );
  }
  queries.setQueryData<Grants>(grantsOut.queryKey, (known) => known && mergeGrants(known, changes));
  for (const id of changes.touched) {
    queries.invalidateQueries({ queryKey: ["log", id] });
    queries.invalidateQueries({ queryKey: ["connections", id] });
  }
}

function belongs([, list, which]: QueryKey, user: string | undefined): Belongs {
  if (list === "one") return (session) => session.id === which;
  return belongsTo(list as HeldList, which as Scope, user);
}
