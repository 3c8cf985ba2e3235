// What a session does or waits for now, in a few words: the line below its status.
import { isOut } from "../../api/ledger";
import { votes } from "../../api/lists";
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
    case "logged_in":
    case "available": {
      if (session.wish) return wishText(session);
      const at = session.status === "available" ? session.idle_until : null;
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
  return [tierText(session), needed > 1 && `${have} of ${needed}`, waits].filter(Boolean).join(", ");
}

/** An extension that somebody asked for. */
function wishText(session: Session): string {
  const { wish } = session;
  if (!wish) return "";
  const more = `${period(wish.by)} more`;
  return wish.is_approved ? `is given ${more}` : `${more} asked for, ${waitsFor(session)}`;
}

/** Which tier it waits for; empty where there is one only. */
export function tierText({ tier, tiers }: Session): string {
  return tier && tiers.length > 1 ? `tier ${tier} of ${tiers.length}` : "";
}

/** How many approved it in the tier whose turn it is, and how many have to. */
export function approvalCount(session: Session): { have: number; needed: number } {
  const now = turn(session);
  const counts = votes(session).filter((it) => !now || it.tier === session.tier);
  return { have: counts.length, needed: now?.quorum ?? session.approvals_needed ?? 1 };
}

/** Who may approve it now. */
export function approversText(session: Session): string {
  const now = turn(session);
  const names = now ? [...now.approvers, ...(now.is_escalated ? now.escalates_to : [])] : session.approvers;
  return names.map((name) => approverName(name, session)).join(" or ") || "somebody to approve it";
}

/** The tier whose turn it is. */
function turn({ tier, tiers }: Session): Session["tiers"][number] | undefined {
  return tier ? tiers[tier - 1] : undefined;
}

/** A user or a group as it is called, or the one person whom no name stands for. */
function approverName(name: string, { user }: Session): string {
  return name === "+manager" ? `the manager of ${user}` : name;
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
