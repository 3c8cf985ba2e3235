// Why a session is where it is, on top of its details: what it waits for, does, or failed at, and what one can do about it.
import { Check, ClipboardCheck, Lock, LockOpen, OctagonX, Plus, RotateCcw, Trash2, X } from "lucide-react";
import { isOut } from "../../api/ledger";
import { canDecide, isAsked, votes } from "../../api/lists";
import { Problem } from "../../api/problem";
import { seesAll } from "../../api/queries";
import type { Grant, Session } from "../../api/view";
import { Button } from "../button";
import { Notice } from "../notice";
import { countdown, fullTime, length, period, useSecond } from "../time";
import { usePage } from "./context";
import { approvalCount, approversText, extensionText, tierText } from "./hint";
import { useDismiss, useRetry } from "./moves";

export function State({ session }: { session: Session }) {
  switch (session.status) {
    case "waiting_for_approval":
      return <Waiting session={session} />;
    case "scheduled":
      return <Ahead session={session} />;
    case "provisioning":
      return session.progress && <Steps session={session} />;
    case "available":
    case "logged_in":
      return (
        <>
          {isAsked(session) && <Waiting session={session} />}
          <Idle session={session} />
        </>
      );
    case "locked":
      return <Locked session={session} />;
    case "canceling":
      return <Canceling session={session} />;
    case "failed":
      return <Failed session={session} />;
    default:
      return session.reason && <p>{session.reason.detail}</p>;
  }
}

function Waiting({ session }: { session: Session }) {
  const { me, onApprovals } = usePage();
  const now = useSecond();
  const isOwn = session.user === me.user;
  const { have, needed } = approvalCount(session);
  // Events do not know whose vote is in.
  const voted = votes(session).map((it) => it.approver);
  const hasSaid = voted.includes(me.user);
  const tier = tierText(session);
  const escalates = session.tiers[(session.tier ?? 0) - 1]?.escalates_at;
  const deciders = session.deciders.filter((name) => !voted.includes(name));
  return (
    <Notice tone="warn">
      <p>
        {session.wish && `${session.wish.requested_by} asks for ${period(session.wish.by)} more. `}
        {tier && `It is the turn of ${tier}. `}It waits for {approversText(session)}.
        {needed > 1 && ` ${have} of ${needed} approved it so far.`}
        {session.approve_by &&
          ` Unless that happens by ${fullTime(session.approve_by)} (${length(Date.parse(session.approve_by) - now)} left), it expires.`}
      </p>
      {session.wish && (
        <p>Unless that is approved by {fullTime(session.wish.approve_by)}, it ends as planned.</p>
      )}
      {session.tier && (
        <p>
          {deciders.length > 0 ? `May decide now: ${deciders.join(", ")}.` : "Nobody may decide now."}
          {escalates && ` More people are asked at ${fullTime(escalates)}.`}
        </p>
      )}
      {session.own_changes.length > 0 && (
        <p className="font-medium">
          {session.user} changed the rules that this goes by:{" "}
          {session.own_changes.map((it) => `${it.kind} ${it.name} (${fullTime(it.at)})`).join(", ")}.
        </p>
      )}
      {isOwn && <p>It is your own request, so somebody else has to decide about it.</p>}
      {hasSaid && !isOwn && <p>You approved it: the others that it needs must be somebody else's.</p>}
      <LockedAhead session={session} />
      {onApprovals && canDecide(session, me.user) && (
        <Button className="mt-2" label="Go to Approvals" icon={ClipboardCheck} onClick={onApprovals} />
      )}
    </Notice>
  );
}

function Ahead({ session }: { session: Session }) {
  const now = useSecond();
  const at = session.wanted_start_at;
  return (
    <Notice tone="busy">
      {at && (
        <p>
          It begins at {fullTime(at)}, in {length(Date.parse(at) - now)}.
        </p>
      )}
      <LockedAhead session={session} />
    </Notice>
  );
}

/** What is locked before it stands on a host does not begin. */
function LockedAhead({ session: { lock } }: { session: Session }) {
  if (!lock) return null;
  return (
    <p>
      Locked by {lock.by}, so it does not begin until it is unlocked: <b>{lock.title}</b>. {lock.text}
    </p>
  );
}

function Steps({ session: { progress } }: { session: Session }) {
  if (!progress) return null;
  const { step, of, text } = progress;
  return (
    <Notice tone="busy">
      <p>
        Step {step} of {of}: {text}
      </p>
      <div
        role="progressbar"
        aria-label="Progress"
        aria-valuenow={step}
        aria-valuemin={0}
        aria-valuemax={of}
        className="mt-1.5 h-1.5 w-full max-w-sm overflow-hidden rounded-full bg-line"
      >
        <div
          className="h-full rounded-full bg-busy transition-[width]"
          style={{ width: `${(100 * step) / of}%` }}
        />
      </div>
    </Notice>
  );
}

/** Only in its last minutes is there something to say. */
function Idle({ session }: { session: Session }) {
  const { isSoon, text } = countdown(session.end_at ?? "", useSecond());
  if (!session.end_at || !isSoon) return null;
  return (
    <Notice tone="warn">
      <p>
        It ends in {text}. {session.extension && extensionText(session)}
      </p>
    </Notice>
  );
}

const STAGES = {
  locking: "Its connections are frozen; the host has not confirmed yet that the account is shut.",
  locked: "Its connections are frozen, and the host confirmed that its account is shut.",
  unlocking: "It is being unlocked; the host has not confirmed yet that all is as before.",
};

function Locked({ session }: { session: Session }) {
  const { me, onOpen } = usePage();
  const { lock } = session;
  if (!lock) return null;
  const whole = { session: "", user: session.user, resource: session.resource }[lock.scope];
  return (
    <Notice tone="bad">
      <p className="font-semibold">{lock.title}</p>
      {lock.text && <p className="whitespace-pre-wrap">{lock.text}</p>}
      <p>
        Locked by {lock.by}, {fullTime(lock.at)}
        {whole && `, with everything of ${whole}`}. {STAGES[lock.stage]}
      </p>
      {lock.last_error && <p>The host did not confirm: {lock.last_error}. It is asked again.</p>}
      {whole && seesAll(me) && (
        <Button
          className="mt-2"
          label="Standing locks"
          icon={Lock}
          onClick={() => onOpen({ kind: "locks" })}
        />
      )}
    </Notice>
  );
}

function Canceling({ session }: { session: Session }) {
  const { progress } = session;
  return (
    <Notice tone={session.cleanup_stalled ? "bad" : "warn"}>
      <p>{session.reason?.detail}</p>
      {progress && (
        <p>
          Step {progress.step} of {progress.of}: {progress.text}
        </p>
      )}
      <StillOut grants={session.grants} />
      {session.cleanup_stalled && (
        <p className="font-semibold">
          Clean-up has been failing for more than a minute. It is tried until it works.
        </p>
      )}
    </Notice>
  );
}

/** What may still be on the host, one by one, and what keeps it there. */
function StillOut({ grants }: { grants: Grant[] }) {
  const out = grants.filter(isOut);
  if (out.length === 0) return null;
  return (
    <>
      <p>Still out there: {out.length}</p>
      <ul className="list-disc pl-5">
        {out.map((grant) => (
          <li key={grant.id}>
            {grant.description}
            {grant.last_error && <span className="text-bad"> — {grant.last_error}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function Failed({ session }: { session: Session }) {
  const isClean = session.grants.filter(isOut).length === 0;
  return (
    <Notice tone="bad">
      <p className="font-medium">{session.reason?.detail ?? "A step of the pre-session stage failed."}</p>
      {isClean && session.clean ? <p>Nothing of it is left on the host.</p> : <p>It is being taken away.</p>}
      <StillOut grants={session.grants} />
      {session.cleanup_stalled && (
        <p className="font-semibold">
          Clean-up has been failing for more than a minute. It is tried until it works.
        </p>
      )}
    </Notice>
  );
}

/** Everything that can be done with the session, in words. */
export function Moves({ session }: { session: Session }) {
  const { me, onOpen } = usePage();
  const [retry, dismiss] = [useRetry(session), useDismiss(session)];
  const { actions } = session;
  const error = retry.error ?? dismiss.error;
  const moves = [
    canDecide(session, me.user) && (
      <Button
        key="approve"
        look="primary"
        label="Approve"
        icon={Check}
        onClick={() => onOpen({ kind: "approve", sessions: [session] })}
      />
    ),
    canDecide(session, me.user) && (
      <Button
        key="deny"
        label="Deny"
        icon={X}
        onClick={() => onOpen({ kind: "deny", sessions: [session] })}
      />
    ),
    actions.extend && (
      <Button key="extend" label="Extend" icon={Plus} onClick={() => onOpen({ kind: "extend", session })} />
    ),
    actions.lock && (
      <Button key="lock" label="Lock" icon={Lock} onClick={() => onOpen({ kind: "lock", session })} />
    ),
    actions.unlock && (
      <Button
        key="unlock"
        label="Unlock"
        icon={LockOpen}
        onClick={() => onOpen({ kind: "unlock", session })}
      />
    ),
    actions.retry && (
      <Button
        key="retry"
        label="Retry"
        icon={RotateCcw}
        disabled={retry.isPending}
        onClick={() => retry.mutate()}
      />
    ),
    actions.dismiss && (
      <Button
        key="dismiss"
        label="Dismiss"
        icon={Trash2}
        disabled={dismiss.isPending}
        onClick={() => dismiss.mutate()}
      />
    ),
    actions.end && (
      <Button
        key="end"
        label="End"
        icon={OctagonX}
        onClick={() => onOpen({ kind: "end", sessions: [session] })}
      />
    ),
  ].filter(Boolean);
  if (moves.length === 0) return null;
  return (
    <div className="flex flex-wrap items-center gap-2">
      {moves}
      {error && (
        <p role="alert" className="text-bad">
          {Problem.from(error).message}
        </p>
      )}
    </div>
  );
}
