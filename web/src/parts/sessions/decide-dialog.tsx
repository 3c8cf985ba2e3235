// Approves or denies requests: what is asked for, the reason, and, for a yes, a shorter session or a later start.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { body, client } from "../../api/client";
import { canDecide } from "../../api/lists";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import type { Session, SessionChange } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { TextArea, TextField } from "../field";
import { Notice, useSay } from "../notice";
import { OutcomeMark } from "../outcome";
import { fromLocal, fullTime, parsePeriod, period, toLocal, zoneAt } from "../time";
import { nameOf, usePage } from "./context";
import { approvalCount, tierText } from "./hint";

const REASON_MAX = 1_000;
const MINUTE_MS = 60_000;
/** Decisions that are under way at the same time. */
const TOGETHER = 4;

/** What the approver wrote. */
export type Verdict = { reason: string; minutes: string; start: string };

/** What became of one request: the session as it is now, or why it stayed as it was. */
type Outcome = { id: string; session?: SessionChange; problem?: Problem };

type Properties = { sessions: Session[]; isYes: boolean; onClose: () => void };

export function DecideDialog({ sessions, isYes, onClose }: Properties) {
  const { me } = usePage();
  const queries = useQueryClient();
  const say = useSay();
  const form = useId();
  const deciding = sessions.filter((session) => canDecide(session, me.user));
  const [verdict, setVerdict] = useState<Verdict>({ reason: "", minutes: "", start: "" });
  const [isChecked, setChecked] = useState(false);
  const decide = useMutation({
    mutationFn: (ids: string[]) =>
      take(
        queries,
        () => decideAll(ids, isYes, verdict),
        (items) => items.flatMap((item) => item.session ?? []),
      ),
    onSuccess: (items) => {
      if (items.some((item) => item.problem)) return;
      const word = isYes ? "approved" : "denied";
      say(items.length === 1 ? `The request is ${word}.` : `${items.length} requests are ${word}.`);
      onClose();
    },
  });
  const failed = decide.data?.filter((item) => item.problem) ?? [];
  // A single refusal is told at its field, and can be mended at once; several are told each at its request.
  const only = deciding.length === 1 ? failed[0]?.problem : undefined;
  const isDone = failed.length > 0 && !only;
  const faults = faultsOf(verdict, isYes, deciding);
  const shown: Partial<typeof faults> = isChecked ? faults : {};
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (Object.values(faults).every((fault) => !fault)) decide.mutate(deciding.map((it) => it.id));
  };
  const verb = isYes ? "Approve" : "Deny";
  return (
    <Dialog
      title={deciding.length === 1 ? `${verb} this request?` : `${verb} ${deciding.length} requests?`}
      onClose={onClose}
      isEasy={false}
      footer={
        isDone ? (
          <Button look="primary" label="Done" onClick={onClose} />
        ) : (
          <>
            <Button label="Cancel" onClick={onClose} />
            <Button
              look={isYes ? "primary" : "danger"}
              type="submit"
              form={form}
              label={verb}
              disabled={decide.isPending || deciding.length === 0}
            />
          </>
        )
      }
    >
      <form id={form} noValidate onSubmit={submit} className="flex flex-col gap-3">
        <ul className="max-h-72 divide-y divide-line overflow-auto rounded-md border border-line">
          {deciding.map((session) => {
            const outcome = isDone ? decide.data?.find((item) => item.id === session.id) : undefined;
            return (
              <li key={session.id} className="flex flex-col px-3 py-1.5">
                <Wish session={session} />
                {outcome && (
                  <OutcomeMark done={isYes ? "Approved" : "Denied"} fault={outcome.problem?.message} />
                )}
              </li>
            );
          })}
        </ul>
        {sessions.length > deciding.length && (
          <Notice tone="busy">
            {sessions.length - deciding.length} of the selected requests are not for you to decide about: they
            are your own, decided already, or somebody else's.
          </Notice>
        )}
        {!isDone && (
          <>
            <TextArea
              label="Reason"
              hint="The requester and auditors read it."
              aria-required
              rows={2}
              maxLength={REASON_MAX}
              error={shown.reason ?? only?.field("/reason")}
              value={verdict.reason}
              onChange={(event) => setVerdict({ ...verdict, reason: event.target.value })}
            />
            {isYes && deciding.every((it) => !it.wish) && (
              <Conditions
                deciding={deciding}
                verdict={verdict}
                onChange={setVerdict}
                faults={{
                  minutes: shown.minutes ?? only?.field("/duration"),
                  start: shown.start ?? only?.field("/start_at"),
                }}
              />
            )}
          </>
        )}
        {only && only.fields.length === 0 && <Notice tone="bad">{only.message}</Notice>}
        {decide.error && <Notice tone="bad">{Problem.from(decide.error).message}</Notice>}
      </form>
    </Dialog>
  );
}

/** What is asked for, in full: nobody approves what they have not seen. */
function Wish({ session }: { session: Session }) {
  const { have, needed } = approvalCount(session);
  const custom = Object.entries(session.custom).map(
    ([name, value]) => `${name.replaceAll("_", " ")}: ${value}`,
  );
  return (
    <>
      <span>
        <span className="font-medium">{nameOf(session)}</span> for {session.user}
      </span>
      <span className="text-quiet">
        {[
          session.wish
            ? `${period(session.wish.by)} more, asked for by ${session.wish.requested_by}`
            : `for ${period(session.duration)}`,
          !session.wish &&
            (session.wanted_start_at
              ? `from ${fullTime(session.wanted_start_at)}`
              : "from when it is approved"),
          session.ticket && `ticket ${session.ticket}`,
          ...custom,
          tierText(session),
          needed > 1 && `${have} of ${needed} approved it`,
        ]
          .filter(Boolean)
          .join(", ")}
      </span>
      <span className="break-words whitespace-pre-wrap">{session.notes || "No notes."}</span>
    </>
  );
}

type ConditionProperties = {
  deciding: Session[];
  verdict: Verdict;
  onChange: (verdict: Verdict) => void;
  faults: { minutes: string | undefined; start: string | undefined };
};

function Conditions({ deciding, verdict, onChange, faults }: ConditionProperties) {
  return (
    <div className="grid gap-3 wide:grid-cols-2">
      <TextField
        label="Shorter, in minutes"
        type="number"
        inputMode="numeric"
        min={1}
        max={mostMinutes(deciding)}
        hint={`Optional. Left out: ${[...new Set(deciding.map((it) => period(it.duration)))].join(" or ")}.`}
        error={faults.minutes}
        value={verdict.minutes}
        onChange={(event) => onChange({ ...verdict, minutes: event.target.value })}
      />
      <TextField
        label="Later start"
        type="datetime-local"
        min={toLocal(new Date())}
        hint={`Optional. In your zone: ${zoneAt(fromLocal(verdict.start) ?? new Date())}.`}
        error={faults.start}
        value={verdict.start}
        onChange={(event) => onChange({ ...verdict, start: event.target.value })}
      />
    </div>
  );
}

function mostMinutes(sessions: Session[]): number {
  return Math.floor(Math.min(...sessions.map((it) => parsePeriod(it.duration))) / MINUTE_MS);
}

/** What keeps a decision from being sent. */
function faultsOf({ reason, minutes, start }: Verdict, isYes: boolean, sessions: Session[]) {
  const most = mostMinutes(sessions);
  const number = Number(minutes);
  const isFit = minutes === "" || (Number.isInteger(number) && number >= 1 && number <= most);
  const at = fromLocal(start);
  return {
    reason: reason.trim() ? undefined : "Write why: the requester and auditors read it.",
    minutes: isYes && !isFit ? `Write a whole number from 1 to ${most}, or nothing.` : undefined,
    start: isYes && at && at.getTime() <= Date.now() ? "Write a time to come, or nothing." : undefined,
  };
}

async function decideAll(ids: string[], isYes: boolean, verdict: Verdict): Promise<Outcome[]> {
  // Conditions belong to one request each; without them one call is enough.
  if (ids.length > 1 && !(isYes && (verdict.minutes || verdict.start))) {
    const sent = { body: { ids, reason: verdict.reason.trim() } };
    const { items } = isYes
      ? await body(client.POST("/api/v1/sessions/approve", sent))
      : await body(client.POST("/api/v1/sessions/deny", sent));
    return items.map(({ id, session, problem }) => ({
      id,
      ...(session ? { session } : {}),
      ...(problem ? { problem: Problem.of(problem.status, problem) } : {}),
    }));
  }
  const waiting = [...ids];
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let id = waiting.shift(); id; id = waiting.shift())
      outcomes.push(await decideOne(id, isYes, verdict));
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  return outcomes;
}

async function decideOne(id: string, isYes: boolean, { reason, minutes, start }: Verdict): Promise<Outcome> {
  const params = { path: { id } };
  const why = { reason: reason.trim() };
  const conditions = {
    ...(minutes ? { duration: `PT${minutes}M` } : {}),
    ...(start ? { start_at: fromLocal(start)?.toISOString() ?? null } : {}),
  };
  try {
    const session = isYes
      ? await body(client.POST("/api/v1/sessions/{id}/approve", { params, body: { ...why, ...conditions } }))
      : await body(client.POST("/api/v1/sessions/{id}/deny", { params, body: why }));
    return { id, session };
  } catch (error) {
    return { id, problem: Problem.from(error) };
  }
}
