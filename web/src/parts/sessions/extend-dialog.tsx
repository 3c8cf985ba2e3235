// Makes a session longer: by how much at most, how often still, and when it would end then.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import type { Session } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { TextField } from "../field";
import { Notice, useSay } from "../notice";
import { fullTime, parsePeriod, shortTime } from "../time";
import { nameOf } from "./context";
import { extensionText } from "./hint";
import { sessionIn } from "./moves";

const MINUTE_MS = 60_000;

export function ExtendDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useSay();
  const form = useId();
  const most = Math.floor(parsePeriod(session.extension?.by ?? "") / MINUTE_MS);
  const [text, setText] = useState(String(most));
  const minutes = Number(text);
  const isFit = Number.isInteger(minutes) && minutes >= 1 && minutes <= most;
  const [isChecked, setChecked] = useState(false);
  const extend = useMutation({
    mutationFn: () =>
      take(
        queries,
        () =>
          body(
            client.POST("/api/v1/sessions/{id}/extend", {
              params: { path: { id: session.id } },
              // A step that is no whole number of minutes is only to be had whole.
              body: { minutes: most >= 1 ? minutes : null },
            }),
          ),
        sessionIn,
      ),
    onSuccess: (extended) => {
      say(`${nameOf(session)} now ends at ${shortTime(extended.end_at)}.`);
      onClose();
    },
  });
  const problem = extend.error ? Problem.from(extend.error) : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (isFit || most < 1) extend.mutate();
  };
  const end = Date.parse(session.end_at ?? "") + minutes * MINUTE_MS;
  return (
    <Dialog
      title="Extend this session?"
      description={`${nameOf(session)}, which ends at ${fullTime(session.end_at)}.`}
      onClose={onClose}
      footer={
        <>
          <Button label="Keep as it is" onClick={onClose} />
          <Button
            look="primary"
            type="submit"
            form={form}
            label={extend.isPending ? "Extending…" : "Extend"}
            disabled={extend.isPending}
          />
        </>
      }
    >
      <form id={form} noValidate onSubmit={submit} className="flex flex-col gap-3">
        {most >= 1 ? (
          <TextField
            label="Minutes"
            type="number"
            inputMode="numeric"
            min={1}
            max={most}
            hint={extensionText(session)}
            error={
              isChecked && !isFit
                ? `Write a whole number from 1 to ${most}.`
                : (problem?.field("/minutes") ?? undefined)
            }
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        ) : (
          <p>{extensionText(session)}</p>
        )}
        {isFit && <p role="status">It would end at {fullTime(new Date(end).toISOString())}.</p>}
        {problem && !problem.field("/minutes") && <Notice tone="bad">{problem.message}</Notice>}
      </form>
    </Dialog>
  );
}
