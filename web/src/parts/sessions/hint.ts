// What a session does or waits for now, in a few words: the line below its status.
import { isOut } from "../../api/ledger";
import type { Session } from "../../api/view";
import { length, period } from "../time";

/** The words for `user`; `now` for those that count down. Empty when the status says it all. */
export function hint(session: Session, now: number, user: string): string {
  const { lock, status } = session;
  const inTime = (at: string) => length(Date.parse(at) - now);
  switch (status) {
    case "waiting_for_approval":
      return [
        session.user === user && "your own",
        lock && `locked: ${lock.title}`,
        waitsFor(session),
        approveBy(session, inTime),
      ]
        .filter(Boolean)
        .join("; ");
    case "scheduled": {
      if (lock) return `begins when unlocked: ${lock.title}`;
      const at = session.wanted_start_at;
      if (!at) return "";
      return Date.parse(at) > now ? `begins in ${inTime(at)}` : "begins now";
    }
    case "available": {
      const at = session.idle_until;
      return at && Date.parse(at) - now < 60 * 60_000 ? `ends in ${inTime(at)} if nobody logs in` : "";
    }
    case "locked":
      return lock ? lockText(session) : "";
    case "provisioning":
    case "canceling":
    case "failed":
      return underWay(session);
    case "completed":
    case "canceled":
    case "denied":
    case "expired":
      return session.reason?.detail ?? "";
    default:
      return "";
  }
}

function waitsFor(session: Session): string {
  const { have, needed } = approvalCount(session);
  const waits = `waits for ${approversText(session)}`;
  return needed > 1 ? `${have} of ${needed}, ${waits}` : waits;
}

/** How many approved it, and how many have to. */
export function approvalCount(session: Session): { have: number; needed: number } {
  const counts = session.approvals.filter((it) => it.is_current && it.decision === "approved");
  return { have: counts.length, needed: session.approvals_needed ?? 1 };
}

/** Who may approve it. */
export function approversText({ approvers }: Session): string {
  return approvers.join(" or ") || "somebody to approve it";
}

function approveBy(session: Session, inTime: (at: string) => string): string {
  return session.approve_by ? `${inTime(session.approve_by)} left` : "";
}

function lockText({ lock }: Session): string {
  if (!lock) return "";
  if (lock.last_error) return `the host did not confirm: ${lock.last_error}`;
  const stage = { locking: "locking: ", locked: "", unlocking: "unlocking: " }[lock.stage];
  return `${stage}${lock.title}`;
}

function underWay(session: Session): string {
  const { progress, status } = session;
  const out = session.grants.filter(isOut).length;
  const words = [
    session.cleanup_stalled && "clean-up stalled, retrying",
    progress && `${progress.step} of ${progress.of}: ${progress.text}`,
    status !== "provisioning" && out > 0 && `${out} still out there`,
  ].filter(Boolean);
  if (words.length === 0 && status === "failed") return session.reason?.detail ?? "";
  return words.join("; ");
}

/** Whether the hint changes with time alone. */
export function countsDown(session: Session): boolean {
  const { status } = session;
  return status === "waiting_for_approval" || status === "scheduled" || status === "available";
}

/** By how much a session can be made longer, and how often. */
export function extensionText(session: Session): string {
  const { extension } = session;
  if (!extension) return "Its connection profile does not allow to extend it.";
  if (extension.left === 0) return "It was extended as often as its connection profile allows.";
  return `By at most ${period(extension.by)} at a time; ${extension.left === 1 ? "once more" : `${extension.left} more times`}.`;
}
