// All that is known of one session: why it is where it is, its facts, how to log in, and every privilege it placed.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Terminal, Trash2 } from "lucide-react";
import { type ReactNode, useEffect } from "react";
import { body, client } from "../../api/client";
import { isOut } from "../../api/ledger";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import type { Session, SessionChange } from "../../api/view";
import { Button } from "../button";
import { CopyButton } from "../copy";
import { GrantTable } from "../grants/table";
import { Notice } from "../notice";
import { fullTime, period } from "../time";
import { sshCommand, usePage } from "./context";

export function Detail({ session }: { session: Session }) {
  const { me } = usePage();
  const command = sshCommand(session, me);
  useFresh(session.id);
  return (
    <section
      aria-label={`Details of ${session.activity} on ${session.resource}`}
      className="sticky left-0 flex w-full max-w-[min(100vw,84rem)] flex-col gap-3 px-4 py-3 wide:pl-17"
    >
      <State session={session} />
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
      <GrantTable grants={session.grants} caption="Privileges of this session" of="session" />
    </section>
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

function sessionIn(answer: SessionChange): SessionChange[] {
  return [answer];
}

function State({ session }: { session: Session }) {
  const out = session.grants.filter(isOut);
  const list = out.map((grant) => grant.description).join(", ");
  if (session.status === "provisioning" && session.progress) {
    const { step, of, text } = session.progress;
    return (
      <Notice tone="busy">
        <p>
          Step {step} of {of}: {text}
        </p>
        <div
          role="progressbar"
          aria-label="Provisioning"
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
  if (session.status === "canceling") {
    return (
      <Notice tone="warn">
        <p>{session.reason?.detail}</p>
        {out.length > 0 && <p>Still out there: {list}.</p>}
        {session.cleanup_stalled && (
          <p>Clean-up has been failing for more than a minute. It is tried until it works.</p>
        )}
      </Notice>
    );
  }
  return session.status === "failed" ? <Failed session={session} out={list} /> : null;
}

function Failed({ session, out }: { session: Session; out: string }) {
  const queries = useQueryClient();
  const dismiss = useMutation({
    mutationFn: () =>
      take(
        queries,
        () => body(client.POST("/api/v1/sessions/{id}/dismiss", { params: { path: { id: session.id } } })),
        sessionIn,
      ),
  });
  return (
    <Notice tone="bad">
      <p className="font-medium">{session.reason?.detail ?? "A step of the pre-session stage failed."}</p>
      <p>{out ? `Being taken away: ${out}.` : "Nothing of it is left on the host."}</p>
      {session.actions.dismiss && (
        <Button
          className="mt-2"
          label="Dismiss"
          icon={Trash2}
          disabled={dismiss.isPending}
          onClick={() => dismiss.mutate()}
        />
      )}
      {dismiss.error && <p role="alert">{Problem.from(dismiss.error).message}</p>}
    </Notice>
  );
}

function Facts({ session }: { session: Session }) {
  const isOver = session.status === "failed" || session.status === "canceling";
  return (
    <dl className="grid grid-cols-[repeat(auto-fill,minmax(15rem,1fr))] gap-x-6 gap-y-2">
      <Fact name="Session">
        <span className="font-mono text-xs break-all">{session.id}</span>
        <CopyButton text={session.id} label="Copy session id" />
      </Fact>
      <Fact name="Requested by">{session.user}</Fact>
      <Fact name="Requested">{fullTime(session.requested_at)}</Fact>
      <Fact name="Start">{fullTime(session.start_at) || "not yet"}</Fact>
      <Fact name={isOver ? "Ended" : "End"}>
        {fullTime(session.end_at) || `${period(session.max_duration)} after start`}
      </Fact>
      <Fact name="Maximum duration">{period(session.max_duration)}</Fact>
      <Fact name="Access policy">{session.policy}</Fact>
      <Fact name="Connection profile">{session.connection_profile}</Fact>
      <Fact name="Ticket number">{session.ticket || "none"}</Fact>
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
      <dt className="text-quiet">{name}</dt>
      <dd className="flex items-center gap-1 break-words">{children}</dd>
    </div>
  );
}
