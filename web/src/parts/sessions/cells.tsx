// What stands in the cells of a session's row.
import { useQuery } from "@tanstack/react-query";
import {
  Check,
  Hourglass,
  KeyRound,
  Lock,
  LockOpen,
  OctagonX,
  Play,
  Repeat,
  RotateCcw,
  ScrollText,
  Terminal,
  Trash2,
  X,
} from "lucide-react";
import { canDecide, canRunAgain, isOpen } from "../../api/lists";
import { connections } from "../../api/queries";
import type { Session } from "../../api/view";
import { IconButton } from "../button";
import { CopyButton } from "../copy";
import { StatusMark } from "../status";
import { countdown, fullTime, length, period, shortTime, useSecond } from "../time";
import { nameOf, sshCommand, usePage, useRowTab } from "./context";
import { countsDown, extensionText, hint } from "./hint";
import { useDismiss, useRetry } from "./moves";
import { PasswordButtons } from "./password-dialog";
import { startOf } from "./view";

/** The status, and below it what is going on. */
export function StatusCell({ session }: { session: Session }) {
  return (
    <div className="flex min-w-0 flex-col py-1 leading-4">
      <StatusMark status={session.status} />
      {session.status === "logged_in" && <DirectMark session={session} />}
      {countsDown(session) ? <LiveHint session={session} /> : <Hint session={session} now={0} />}
    </div>
  );
}

function LiveHint({ session }: { session: Session }) {
  return <Hint session={session} now={useSecond()} />;
}

function Hint({ session, now }: { session: Session; now: number }) {
  const text = hint(session, now, usePage().me.user);
  if (!text) return null;
  const isBad = session.cleanup_stalled || Boolean(session.lock?.last_error);
  return (
    <p
      className={`text-[0.6875rem] wide:truncate leading-3.5 ${isBad ? "font-semibold text-bad" : "text-quiet"}`}
      title={text}
    >
      {text}
    </p>
  );
}

/** Says that somebody is logged in past the gateway. Rows in sight ask for it, and each change of the session anew. */
function DirectMark({ session }: { session: Session }) {
  const { data } = useQuery(connections(session.id));
  const direct = (data ?? []).filter((it) => it.direct && !it.closed_at);
  if (direct.length === 0) return null;
  return (
    <p
      className="flex items-center gap-1 truncate text-[0.6875rem] leading-3.5 font-semibold text-warn"
      title={`Past the gateway, from ${direct.map((it) => it.peer).join(", ")}`}
    >
      <KeyRound size={11} className="shrink-0" aria-hidden="true" />
      direct log-in
    </p>
  );
}

/** A point in time; the whole of it as tooltip. */
export function TimeCell({ at }: { at: string | null | undefined }) {
  if (!at) return <span className="text-quiet">—</span>;
  return (
    <time dateTime={at} title={fullTime(at)} className="tabular-nums">
      {shortTime(at)}
    </time>
  );
}

/** When it began, or is to begin. */
export function StartCell({ session }: { session: Session }) {
  const isAhead = !session.start_at && session.wanted_start_at;
  return (
    <span className={isAhead ? "text-quiet" : ""}>
      <TimeCell at={startOf(session)} />
    </span>
  );
}

/** When the session ends, how much is left, and a way to get more. */
export function EndCell({ session }: { session: Session }) {
  if (!session.end_at) {
    return <span className="text-quiet">{period(session.duration)} after start</span>;
  }
  const runs = isOpen(session.status) || session.status === "locked";
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2">
      <TimeCell at={session.end_at} />
      {runs && <Countdown end={session.end_at} />}
      {session.actions.extend && session.extension && (
        <ExtendButton session={session} by={session.extension.by} />
      )}
    </span>
  );
}

function ExtendButton({ session, by }: { session: Session; by: string }) {
  const { onOpen } = usePage();
  return (
    <button
      type="button"
      tabIndex={useRowTab()}
      aria-label={`+${period(by)}: extend ${nameOf(session)}`}
      title={`Extend. ${extensionText(session)}`}
      onClick={() => onOpen({ kind: "extend", session })}
      className="h-6 rounded border border-edge bg-surface px-1.5 text-xs font-medium whitespace-nowrap hover:bg-hover"
    >
      +{period(by)}
    </button>
  );
}

function Countdown({ end }: { end: string }) {
  const { text, isSoon } = countdown(end, useSecond());
  return (
    <span
      className={`inline-flex items-center gap-1 tabular-nums whitespace-nowrap ${isSoon ? "rounded bg-warn-ground px-1 font-semibold text-warn" : "text-quiet"}`}
      title="Time left"
    >
      {isSoon && <Hourglass size={12} aria-hidden="true" />}
      {text}
    </span>
  );
}

/** How long it was there for its user. */
export function DurationCell({ session }: { session: Session }) {
  const { start_at: start, end_at: end } = session;
  if (!start || !end) return <span className="text-quiet">—</span>;
  return <span className="tabular-nums">{length(Date.parse(end) - Date.parse(start))}</span>;
}

/** The account's name, and ways to copy it and to come by its password. */
export function AccountCell({ session }: { session: Session }) {
  const tab = useRowTab();
  if (!session.login_account) return <span className="text-quiet">—</span>;
  return (
    <span className="flex min-w-0 items-center gap-1">
      <span className="truncate font-mono text-xs" title={session.login_account}>
        {session.login_account}
      </span>
      <CopyButton
        text={session.login_account}
        label={`Copy user name ${session.login_account}`}
        tabIndex={tab}
      />
      <PasswordButtons session={session} />
    </span>
  );
}

/** What can be done with this one session. */
export function ActionsCell({ session }: { session: Session }) {
  const { me, onOpen } = usePage();
  const tabIndex = useRowTab();
  const command = sshCommand(session, me);
  const { actions } = session;
  const name = nameOf(session);
  return (
    <span className="flex flex-wrap items-center justify-end">
      {actions.launch && (
        <IconButton
          label={`Launch ${name}`}
          icon={Play}
          tabIndex={tabIndex}
          onClick={() => onOpen({ kind: "launch", session })}
        />
      )}
      {command && (
        <CopyButton
          text={command}
          label={`Copy ssh command for ${name}`}
          icon={Terminal}
          tabIndex={tabIndex}
        />
      )}
      {canDecide(session, me.user) && (
        <>
          <IconButton
            label={`Approve ${name} for ${session.user}`}
            icon={Check}
            tabIndex={tabIndex}
            onClick={() => onOpen({ kind: "approve", sessions: [session] })}
          />
          <IconButton
            label={`Deny ${name} for ${session.user}`}
            icon={X}
            tabIndex={tabIndex}
            onClick={() => onOpen({ kind: "deny", sessions: [session] })}
          />
        </>
      )}
      {actions.lock && (
        <IconButton
          label={`Lock ${name}`}
          icon={Lock}
          tabIndex={tabIndex}
          onClick={() => onOpen({ kind: "lock", session })}
        />
      )}
      {actions.unlock && (
        <IconButton
          label={`Unlock ${name}`}
          icon={LockOpen}
          tabIndex={tabIndex}
          onClick={() => onOpen({ kind: "unlock", session })}
        />
      )}
      {session.status === "failed" && <FailedMoves session={session} />}
      {canRunAgain(session, me.user) && (
        <IconButton
          label={`Request ${name} again`}
          icon={Repeat}
          tabIndex={tabIndex}
          onClick={() => onOpen({ kind: "create", like: session })}
        />
      )}
      <IconButton
        label={`Log of ${name}`}
        icon={ScrollText}
        tabIndex={tabIndex}
        onClick={() => onOpen({ kind: "log", session })}
      />
      {actions.end && (
        <IconButton
          label={`End ${name}`}
          icon={OctagonX}
          tabIndex={tabIndex}
          onClick={() => onOpen({ kind: "end", sessions: [session] })}
        />
      )}
    </span>
  );
}

function FailedMoves({ session }: { session: Session }) {
  const tabIndex = useRowTab();
  const [retry, dismiss] = [useRetry(session), useDismiss(session)];
  const name = nameOf(session);
  return (
    <>
      {session.actions.retry && (
        <IconButton
          label={`Retry ${name}`}
          icon={RotateCcw}
          tabIndex={tabIndex}
          disabled={retry.isPending}
          onClick={() => retry.mutate()}
        />
      )}
      {session.actions.dismiss && (
        <IconButton
          label={`Dismiss ${name}`}
          icon={Trash2}
          tabIndex={tabIndex}
          disabled={dismiss.isPending}
          onClick={() => dismiss.mutate()}
        />
      )}
    </>
  );
}
