// Locks a user with everything of theirs, with what they read of it.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { body, client } from "../../api/client";
import { Problem } from "../../api/problem";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { Notice, useSay } from "../notice";
import { EMPTY_MESSAGE, faultsOfMessage, MessageFields } from "../sessions/lock-message";

type Properties = { name: string; onDone: () => void; onClose: () => void };

export function LockPerson({ name, onDone, onClose }: Properties) {
  const form = useId();
  const say = useSay();
  const [message, setMessage] = useState(EMPTY_MESSAGE);
  const [isChecked, setChecked] = useState(false);
  const lock = useMutation({
    mutationFn: () =>
      body(
        client.POST("/api/v1/locks", {
          body: { user: name, title: message.title.trim(), text: message.text.trim() },
        }),
      ),
    onSuccess: () => {
      say(`${name} is locked.`);
      onDone();
      onClose();
    },
  });
  const problem = lock.error ? Problem.from(lock.error) : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (message.title.trim()) lock.mutate();
  };
  return (
    <Dialog
      title={`Lock ${name}?`}
      description="All their sessions stand still, and they get in nowhere, until they are unlocked."
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
        <MessageFields
          message={message}
          faults={faultsOfMessage(message, isChecked, problem)}
          onChange={setMessage}
        />
        {problem && !problem.field("/title") && !problem.field("/text") && (
          <Notice tone="bad">{problem.message}</Notice>
        )}
      </form>
    </Dialog>
  );
}
