// All that is known of one session: why it is where it is, its facts, how to log in, who was asked and who is on it, and
// every privilege it placed.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, ScrollText, Terminal } from "lucide-react";
import { type ReactNode, useEffect } from "react";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { connections } from "../../api/queries";
import type { Approval, Connection, Session } from "../../api/view";
import { Button } from "../button";
import { CopyButton } from "../copy";
import { GrantTable } from "../grants/table";
import { fullTime, period, shortTime } from "../time";
import { nameOf, sshCommand, usePage } from "./context";
import { extensionText } from "./hint";
import { sessionIn } from "./moves";
import { Moves, State } from "./state";

/** Connections that are shown; the log has them all. */
const CONNECTIONS_MAX = 20;

/** The details as they lie below a row. */
export function Detail({ session }: { session: Session }) {
  useFresh(session.id);
  return (
    <section
      aria-label={`Details of ${nameOf(session)}`}
      className="sticky left-0 flex w-full max-w-[min(100vw,84rem)] flex-col gap-3 px-4 py-3 wide:pl-17"
    >
      <DetailParts session={session} />
    </section>
  );
}

/** The details, wherever they are. */
export function DetailParts({ session }: { session: Session }) {
  const { me, onOpen } = usePage();
  const command = sshCommand(session, me);
  const isTouched = session.start_at || session.grants.some((grant) => grant.state !== "planned");
  return (
    <>
      <State session={session} />
      <div className="flex flex-wrap gap-2">
        <Moves session={session} />
        <Button label="View Log" icon={ScrollText} onClick={() => onOpen({ kind: "log", session })} />
      </div>
      {command && (
        <p className="flex flex-wrap items-center gap-x-2">
          <Terminal size={15} className="text-quiet" aria-hidden="true" />
          <span className="font-medium">Log in with</span>
          <code className="rounded border border-line bg-surface px-2 py-0.5 font-mono text-xs break-all">
            {command}
          </code>
          <CopyButton text={command} label="Copy ssh command" />
        </p>
      )}
      <Facts session={session} />
      <Approvals approvals={session.approvals} />
      {session.start_at && <Connections id={session.id} />}
      {isTouched ? (
        <GrantTable grants={session.grants} caption="Privileges of this session" of="session" />
      ) : (
        <p className="text-quiet">
          Nothing of it {session.listed ? "is on the host yet" : "was ever on the host"}.
        </p>
      )}
    </>
  );
}

/** Events bring changes only; opening the details makes sure that nothing is missing. */
function useFresh(id: string): void {
  const queries = useQueryClient();
  useEffect(() => {
    take(
      queries,
      () => body(client.GET("/api/v1/sessions/{id}", { params: { path: { id } } })),
      sessionIn,
    ).catch(() => {
      // The list shows what is known; a broken link has its own banner.
    });
  }, [id, queries]);
}

function Facts({ session }: { session: Session }) {
  const isOver = !session.listed || session.status === "failed" || session.status === "canceling";
  return (
    <dl className="grid grid-cols-[repeat(auto-fill,minmax(15rem,1fr))] gap-x-6 gap-y-2">
      <Fact name="Session">
        <span className="font-mono text-xs break-all">{session.id}</span>
        <CopyButton text={session.id} label="Copy session id" />
      </Fact>
      <Fact name="Requested by">{session.user}</Fact>
      <Fact name="Requested">{fullTime(session.requested_at)}</Fact>
      {session.wanted_start_at && <Fact name="Wanted start">{fullTime(session.wanted_start_at)}</Fact>}
      <Fact name="Start">{fullTime(session.start_at) || (isOver ? "never" : "not yet")}</Fact>
      <Fact name={isOver ? "Ended" : "End"}>
        {fullTime(session.end_at) || `${period(session.duration)} after start`}
      </Fact>
      {session.closes_at && <Fact name="Hours of its policy end">{fullTime(session.closes_at)}</Fact>}
      <Fact name="Duration">
        {period(session.duration)}
        {session.duration !== session.max_duration && `, of at most ${period(session.max_duration)}`}
      </Fact>
      {!isOver && <Fact name="Extension">{extensionText(session)}</Fact>}
      <Fact name="Access policy">{session.policy}</Fact>
      <Fact name="Connection profile">{session.connection_profile}</Fact>
      <Fact name="Ticket number">{session.ticket || "none"}</Fact>
      {Object.entries(session.custom).map(([name, value]) => (
        <Fact key={name} name={name.replaceAll("_", " ")}>
          {value}
        </Fact>
      ))}
      <Fact name="Request">
        <span className="font-mono text-xs break-all">{session.request_id}</span>
      </Fact>
      <Fact name="Notes" isWide>
        <span className="whitespace-pre-wrap">{session.notes || "none"}</span>
      </Fact>
    </dl>
  );
}

function Fact({ name, isWide, children }: { name: string; isWide?: boolean; children: ReactNode }) {
  return (
    <div className={isWide ? "col-span-full max-w-prose" : "min-w-0"}>
      <dt className="text-quiet first-letter:uppercase">{name}</dt>
      <dd className="flex flex-wrap items-center gap-1 break-words">{children}</dd>
    </div>
  );
}

function Approvals({ approvals }: { approvals: Approval[] }) {
  if (approvals.length === 0) return null;
  const isTiered = approvals.some((it) => it.tier > 1);
  return (
    <section aria-label="Approvals">
      <h3 className="text-quiet">Approvals</h3>
      <ul>
        {approvals.map((it) => (
          <li key={it.id} className="break-words">
            <span className={`font-medium ${it.decision === "denied" ? "text-bad" : "text-good"}`}>
              {it.decision === "denied" ? "Denied" : "Approved"}
            </span>{" "}
            by {it.approver}
            {isTiered && ` in tier ${it.tier}`}, {shortTime(it.at)}: {it.reason}
            {!it.is_current && (
              <span className="text-quiet">
                {" "}
                (does not count: what was approved has changed, or {it.approver} may not approve it any more)
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Who is on it, and who was, newest first. */
function Connections({ id }: { id: string }) {
  const { data = [] } = useQuery(connections(id));
  if (data.length === 0) return null;
  const newest = data.toReversed();
  return (
    <section aria-label="Log-ins">
      <h3 className="text-quiet">Log-ins</h3>
      <ul>
        {newest.slice(0, CONNECTIONS_MAX).map((it) => (
          <LogIn key={it.id} it={it} />
        ))}
      </ul>
      {newest.length > CONNECTIONS_MAX && (
        <p className="text-quiet">
          The newest {CONNECTIONS_MAX} of {newest.length}; the log has them all.
        </p>
      )}
    </section>
  );
}

function LogIn({ it }: { it: Connection }) {
  return (
    <li className="flex flex-wrap items-center gap-x-2">
      {it.direct && (
        <span className="inline-flex items-center gap-1 font-semibold text-warn">
          <KeyRound size={13} aria-hidden="true" />
          Direct, past the gateway
        </span>
      )}
      <span>from {it.peer}</span>
      <span className="text-quiet tabular-nums" title={fullTime(it.opened_at)}>
        {shortTime(it.opened_at)} – {it.closed_at ? shortTime(it.closed_at) : "now"}
      </span>
    </li>
  );
}
