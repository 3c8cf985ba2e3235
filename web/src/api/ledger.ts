// What the browser knows of sessions and grants, and how changes are merged into it. Pure: no network, no React.
import type { Grant, Session, SessionChange } from "./view";

/** Active sessions by id. */
export type Sessions = ReadonlyMap<string, Session>;
/** Grants that are out by id. */
export type Grants = ReadonlyMap<string, Grant>;

/** Changes of a moment; the last word about each session and each grant. */
export class Changes {
  readonly sessions = new Map<string, SessionChange>();
  readonly grants = new Map<string, Grant>();

  session(change: SessionChange): void {
    this.sessions.set(change.id, change);
  }

  grant(change: Grant): void {
    this.grants.set(change.id, change);
  }

  get isEmpty(): boolean {
    return this.sessions.size === 0 && this.grants.size === 0;
  }
}

/** Whether a grant in this state may still be on its host. */
export function isOut(grant: Grant): boolean {
  return grant.state === "placing" || grant.state === "placed" || grant.state === "removing";
}

/** The active list after some changes. Sessions that left the list are gone, grants of known sessions are kept. */
export function mergeSessions(before: Sessions, changes: Changes): Sessions {
  if (changes.isEmpty) return before;
  const after = new Map(before);
  for (const change of changes.sessions.values()) {
    if (!change.listed) after.delete(change.id);
    else after.set(change.id, withGrants(change, before.get(change.id)));
  }
  for (const grant of changes.grants.values()) {
    const session = after.get(grant.session);
    if (session) after.set(session.id, { ...session, grants: replace(session.grants, grant) });
  }
  return after;
}

/** The ledger after some changes: what is out, and nothing else. */
export function mergeGrants(before: Grants, changes: Changes): Grants {
  if (changes.grants.size === 0) return before;
  const after = new Map(before);
  for (const grant of changes.grants.values()) {
    if (isOut(grant)) after.set(grant.id, grant);
    else after.delete(grant.id);
  }
  return after;
}

function withGrants(change: SessionChange, known: Session | undefined): Session {
  return { ...change, grants: change.grants?.length ? change.grants : (known?.grants ?? []) };
}

function replace(grants: Grant[], changed: Grant): Grant[] {
  const at = grants.findIndex((grant) => grant.id === changed.id);
  return at < 0 ? [...grants, changed] : grants.with(at, changed);
}
