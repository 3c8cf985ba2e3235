// Locks a session, or with it everything of its user or on its resource; and unlocks a session again.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import { standingLocks } from "../../api/queries";
import type { LockScope, Session } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { RadioField, TextArea } from "../field";
import { Notice, useSay } from "../notice";
import { nameOf, usePage } from "./context";
import { EMPTY_MESSAGE, faultsOfMessage, MessageFields, type MessageText } from "./lock-message";
import { sessionIn } from "./moves";

const REASON_MAX = 1_000;

export function LockDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const { me } = usePage();
  const queries = useQueryClient();
  const say = useSay();
  const form = useId();
  const [message, setMessage] = useState<MessageText>(EMPTY_MESSAGE);
  const [scope, setScope] = useState<LockScope>("session");
  const [isChecked, setChecked] = useState(false);
  const lock = useMutation({
    mutationFn: () =>
      take(
        queries,
        () =>
          body(
            client.POST("/api/v1/sessions/{id}/lock", {
              params: { path: { id: session.id } },
              body: { title: message.title.trim(), text: message.text.trim(), scope },
            }),
          ),
        sessionIn,
      ),
    onSuccess: () => {
      queries.invalidateQueries({ queryKey: standingLocks.queryKey });
      say(
        { session: nameOf(session), user: session.user, resource: session.resource }[scope] +
          " is being locked.",
      );
      onClose();
    },
  });
  const problem = lock.error ? Problem.from(lock.error) : undefined;
  const faults = faultsOfMessage(message, isChecked, problem);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (message.title.trim()) lock.mutate();
  };
  return (
    <Dialog
      title="Lock this session?"
      description={`${nameOf(session)}, ${session.user}. What is locked stands still until it is unlocked; its end stays where it is.`}
      onClose={onClose}
      isEasy={false}
      footer={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button look="danger" type="submit" form={form} label="Lock" disabled={lock.isPending} />
        </>
      }
    >
      <form id={form} noValidate onSubmit={submit} className="flex flex-col gap-4">
        <MessageFields message={message} faults={faults} onChange={setMessage} />
        <RadioField
          label="What is locked"
          name="scope"
          value={scope}
          onChoose={setScope}
          options={[
            {
              value: "session",
              name: "This session",
              meaning: `Its connections freeze, and ${session.login_account} is shut on ${session.resource}.`,
            },
            {
              value: "user",
              name: `Everything of ${session.user}`,
              isOff: session.user === me.user,
              meaning:
                session.user === me.user
                  ? "Nobody locks themselves."
                  : "All their sessions, and every sign-in, token and key: they get in nowhere.",
            },
            {
              value: "resource",
              name: `Everything on ${session.resource}`,
              meaning: "Everybody's sessions there, and no new one begins.",
            },
          ]}
        />
        {problem && problem.fields.length === 0 && <Notice tone="bad">{problem.message}</Notice>}
      </form>
    </Dialog>
  );
}

export function UnlockDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useSay();
  const [reason, setReason] = useState("");
  const unlock = useMutation({
    mutationFn: () =>
      take(
        queries,
        () =>
          body(
            client.POST("/api/v1/sessions/{id}/unlock", {
              params: { path: { id: session.id } },
              body: { reason: reason.trim() || null },
            }),
          ),
        sessionIn,
      ),
    onSuccess: () => {
      say(`${nameOf(session)} is being unlocked.`);
      onClose();
    },
  });
  return (
    <Dialog
      title="Unlock this session?"
      description="Connections go on when the host has confirmed that all is as it was before the lock."
      onClose={onClose}
      footer={
        <>
          <Button label="Keep locked" onClick={onClose} />
          <Button look="primary" label="Unlock" disabled={unlock.isPending} onClick={() => unlock.mutate()} />
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <p>
          <span className="font-medium">{nameOf(session)}</span>
          <span className="text-quiet">
            {" "}
            · {session.user}
            {session.lock && ` · locked by ${session.lock.by}: ${session.lock.title}`}
          </span>
        </p>
        <TextArea
          label="Reason"
          hint="Optional. It is kept with the session."
          rows={2}
          maxLength={REASON_MAX}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        {unlock.error && <Notice tone="bad">{Problem.from(unlock.error).message}</Notice>}
      </div>
    </Dialog>
  );
}
