// Ends sessions: shows which, asks for a reason, and tells for each what became of it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import type { Ended, Session } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { TextArea } from "../field";
import { Notice, useSay } from "../notice";
import { OutcomeMark } from "../outcome";

const REASON_MAX = 1_000;
/** Ids per request: they stay far below the server's limit of 1 MiB. */
const IDS_PER_CALL = 500;

export function EndDialog({ sessions, onClose }: { sessions: Session[]; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useSay();
  const [reason, setReason] = useState("");
  const ending = sessions.filter((session) => session.actions.end);
  const end = useMutation({
    mutationFn: () =>
      take(
        queries,
        () =>
          endAll(
            ending.map((session) => session.id),
            reason.trim(),
          ),
        (items) => items.flatMap((item) => item.session ?? []),
      ),
    onSuccess: (items) => {
      if (items.some((item) => item.problem)) return;
      say(items.length === 1 ? "The session is ending." : `${items.length} sessions are ending.`);
      onClose();
    },
  });

  return (
    <Dialog
      title={ending.length === 1 ? "End this session?" : `End ${ending.length} sessions?`}
      description="Open connections are cut at once, and every privilege is taken away."
      onClose={onClose}
      footer={
        end.data ? (
          <Button look="primary" label="Done" onClick={onClose} />
        ) : (
          <>
            <Button label="Keep" onClick={onClose} />
            <Button
              look="danger"
              label={ending.length === 1 ? "End Session" : `End ${ending.length} Sessions`}
              disabled={end.isPending || ending.length === 0}
              onClick={() => end.mutate()}
            />
          </>
        )
      }
    >
      <div className="flex flex-col gap-3">
        <ul className="max-h-56 divide-y divide-line overflow-auto rounded-md border border-line">
          {ending.map((session) => (
            <li key={session.id} className="flex flex-col px-3 py-1.5">
              <span>
                <span className="font-medium">{session.activity}</span> on {session.resource}
                <span className="text-quiet"> · {session.user}</span>
              </span>
              <Outcome outcome={end.data?.find((item) => item.id === session.id)} />
            </li>
          ))}
        </ul>
        {sessions.length > ending.length && (
          <Notice tone="busy">
            {sessions.length - ending.length} of the selected sessions cannot be ended: they are ending
            already, or not yours.
          </Notice>
        )}
        {!end.data && (
          <TextArea
            label="Reason"
            hint="Optional. It is kept with the session."
            rows={2}
            maxLength={REASON_MAX}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
        {end.error && <Notice tone="bad">{Problem.from(end.error).message}</Notice>}
      </div>
    </Dialog>
  );
}

function Outcome({ outcome }: { outcome: Ended | undefined }) {
  if (!outcome) return null;
  const { problem } = outcome;
  return <OutcomeMark done="Ending" fault={problem ? (problem.detail ?? problem.title) : undefined} />;
}

async function endAll(ids: string[], reason: string): Promise<Ended[]> {
  const items: Ended[] = [];
  for (let from = 0; from < ids.length; from += IDS_PER_CALL) {
    const part = ids.slice(from, from + IDS_PER_CALL);
    const answer = await body(
      client.POST("/api/v1/sessions/end", { body: { ids: part, reason: reason || null } }),
    );
    items.push(...answer.items);
  }
  return items;
}
