// What the browser knows of sessions and grants, and how changes are merged into it. Pure: no network, no React.
import type { Approval, ApprovalChange, Grant, Session, SessionChange } from "./view";

/** Sessions of a list by id. */
export type Sessions = ReadonlyMap<string, Session>;
/** Grants that are out by id. */
export type Grants = ReadonlyMap<string, Grant>;

/** Whether a list holds a session. `isKnown` says whether it did before. */
export type Belongs = (session: SessionChange, isKnown: boolean) => boolean;

/** Changes of a moment; the last word about each session, grant and approval. */
export class Changes {
  readonly sessions = new Map<string, SessionChange>();
  readonly grants = new Map<string, Grant>();
  readonly approvals = new Map<string, { session: string; approval: Approval }>();

  session(change: SessionChange): void {
    this.sessions.set(change.id, change);
  }

  grant(change: Grant): void {
    this.grants.set(change.id, change);
  }

  approval({ session, approval }: ApprovalChange): void {
    this.session(session);
    if (approval) this.approvals.set(approval.id, { session: session.id, approval });
  }

  /** The sessions that any change is about. */
  get touched(): Set<string> {
    return new Set([
      ...this.sessions.keys(),
      ...[...this.grants.values()].map((grant) => grant.session),
      ...[...this.approvals.values()].map((it) => it.session),
    ]);
  }
}

/** Whether a grant in this state may still be on its host. */
export function isOut(grant: Grant): boolean {
  return grant.state === "placing" || grant.state === "placed" || grant.state === "removing";
}

const isListed: Belongs = (session) => session.listed;

/** A list after some changes. Sessions that left it are gone; grants and approvals of known sessions are kept. */
export function mergeSessions(before: Sessions, changes: Changes, belongs: Belongs = isListed): Sessions {
  const after = new Map(before);
  let isSame = true;
  for (const change of changes.sessions.values()) {
    const known = before.get(change.id);
    if (belongs(change, known !== undefined)) after.set(change.id, withParts(change, known));
    else if (!after.delete(change.id)) continue;
    isSame = false;
  }
  const alter = (id: string, part: (session: Session) => Partial<Session>) => {
    const session = after.get(id);
    if (!session) return;
    after.set(id, { ...session, ...part(session) });
    isSame = false;
  };
  for (const grant of changes.grants.values())
    alter(grant.session, ({ grants }) => ({ grants: replace(grants, grant) }));
  for (const { session, approval } of changes.approvals.values())
    alter(session, ({ approvals }) => ({ approvals: replace(approvals, approval) }));
  return isSame ? before : after;
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

function withParts(change: SessionChange, known: Session | undefined): Session {
  const grants = change.grants?.length ? change.grants : (known?.grants ?? []);
  const approvals = change.approvals?.length ? change.approvals : (known?.approvals ?? []);
  return { ...change, grants, approvals };
}

function replace<T extends { id: string }>(items: T[], changed: T): T[] {
  const at = items.findIndex((item) => item.id === changed.id);
  return at < 0 ? [...items, changed] : items.with(at, changed);
}
