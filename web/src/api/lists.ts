// The lists of sessions, and which sessions are on which. The server decides the same way.
import type { Belongs } from "./ledger";
import type { Approval, Session, SessionChange, Status } from "./view";

/** A list of sessions, as the API and the pages name it. */
export type ListName = "active" | "scheduled" | "approvals" | "history";
/** A list that is held as a whole and kept up by events. The past is too long for that. */
export type HeldList = Exclude<ListName, "history">;
export type Scope = "mine" | "all";

const OVER: Status[] = ["completed", "canceled", "denied", "expired"];

/** Whether somebody logs in, or could, in this state. */
export function isOpen(status: Status): boolean {
  return status === "available" || status === "logged_in";
}

/** Which sessions a held list shows to a person. */
export function belongsTo(list: HeldList, scope: Scope, user: string | undefined): Belongs {
  return (session, isKnown) => {
    if (!session.listed) return false;
    const isOwn = session.user === user;
    // What one has decided about stays on the list while it waits for others.
    if (list === "approvals") return isAsked(session) && !isOwn && (session.actions.decide || isKnown);
    // Approvers hear of sessions that are neither theirs nor for them to see otherwise.
    if (scope === "mine" && !isOwn) return false;
    return (session.status === "scheduled") === (list === "scheduled");
  };
}

/** Whether it is one's own and over: what was requested once can be requested again. */
export function canRunAgain(session: Session, user: string): boolean {
  return session.user === user && OVER.includes(session.status);
}

/** Whether somebody is asked about it: whether it begins, or whether it becomes longer. */
export function isAsked({ status, wish }: SessionChange): boolean {
  return status === "waiting_for_approval" || (wish !== null && !wish.is_approved);
}

/** The yeses that count for what is asked about it now. */
export function votes({ approvals, status, wish }: Session): Approval[] {
  const about = status === "waiting_for_approval" ? 0 : (wish?.number ?? 0);
  return approvals.filter((it) => it.is_current && it.decision === "approved" && it.extension === about);
}

/** Whether the person may decide about it now. Events do not know what the person said before: approvals do. */
export function canDecide(session: Session, user: string): boolean {
  return session.actions.decide && !votes(session).some((it) => it.approver === user);
}
