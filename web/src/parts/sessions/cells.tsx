// What stands in the cells of a session's row.
import { OctagonX, ScrollText, Terminal } from "lucide-react";
import { isOut } from "../../api/ledger";
import type { Session } from "../../api/view";
import { IconButton } from "../button";
import { CopyButton } from "../copy";
import { StatusMark } from "../status";
import { countdown, fullTime, period, shortTime, useSecond } from "../time";
import { sshCommand, usePage, useRowTab } from "./context";

/** The status, and below it what is going on. */
export function StatusCell({ session }: { session: Session }) {
  const text = hint(session);
  return (
    <div className="flex min-w-0 flex-col py-1 leading-4">
      <StatusMark status={session.status} />
      {text && (
        <p className="truncate text-[0.6875rem] leading-3.5 text-quiet" title={text}>
          {text}
        </p>
      )}
    </div>
  );
}

/** What a session does now, in a few words. */
export function hint(session: Session): string {
  if (session.progress) return `${session.progress.step} of ${session.progress.of}: ${session.progress.text}`;
  const out = session.grants.filter(isOut).length;
  const stillOut = out > 0 ? `${out} still out there` : "";
  if (session.status === "failed") return stillOut || session.reason?.detail || "";
  if (session.status !== "canceling") return "";
  return [session.cleanup_stalled && "clean-up stalled, retrying", stillOut].filter(Boolean).join("; ");
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

/** When the session ends and how much is left. */
export function EndCell({ session }: { session: Session }) {
  if (!session.end_at) {
    return (
      <span className="text-quiet">
        {session.status === "provisioning" ? `${period(session.max_duration)} after start` : "—"}
      </span>
    );
  }
  const isOpen = session.status === "available" || session.status === "logged_in";
  return (
    <span className="inline-flex items-baseline gap-2">
      <TimeCell at={session.end_at} />
      {isOpen && <Countdown end={session.end_at} />}
    </span>
  );
}

function Countdown({ end }: { end: string }) {
  const { text, isSoon } = countdown(end, useSecond());
  return (
    <span
      className={`tabular-nums whitespace-nowrap ${isSoon ? "font-semibold text-warn" : "text-quiet"}`}
      title="Time left"
    >
      {text}
    </span>
  );
}

/** The account's name and a way to copy it. */
export function AccountCell({ session }: { session: Session }) {
  const tab = useRowTab();
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
    </span>
  );
}

/** What can be done with this one session. */
export function ActionsCell({ session }: { session: Session }) {
  const { me, onEnd, onLog } = usePage();
  const tab = useRowTab();
  const command = sshCommand(session, me);
  const name = `${session.activity} on ${session.resource}`;
  return (
    <span className="flex items-center justify-end">
      {command && (
        <CopyButton text={command} label={`Copy ssh command for ${name}`} icon={Terminal} tabIndex={tab} />
      )}
      <IconButton label={`Log of ${name}`} icon={ScrollText} tabIndex={tab} onClick={() => onLog(session)} />
      {session.actions.end && (
        <IconButton label={`End ${name}`} icon={OctagonX} tabIndex={tab} onClick={() => onEnd([session])} />
      )}
    </span>
  );
}
