// Makes a passkey: its name, then the browser's own window, then the recovery codes if it is the first factor.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { makePasskey } from "../api/passkey";
import { Problem } from "../api/problem";
import { Button } from "./button";
import { RecoveryCodes } from "./enrolment";
import { TextField } from "./field";
import { Notice } from "./notice";

export function PasskeyForm({ onMade, onDone }: { onMade?: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: makePasskey,
    onSuccess: (codes) => (codes.length === 0 ? onDone() : onMade?.()),
    gcTime: 0,
  });
  if (make.data?.length) return <RecoveryCodes codes={make.data} onDone={onDone} />;
  const problem = make.error ? Problem.from(make.error) : undefined;
  const fault = problem?.field("/name");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate(name);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <p>
        A passkey stays on your device or your security key and asks for your finger, your face or a PIN. It
        signs you in by itself.
      </p>
      {problem && !fault && <Notice tone="bad">{problem.message}</Notice>}
      <TextField
        label="Name of the passkey"
        hint="Where it is: Laptop, or Key ring."
        autoFocus
        autoComplete="off"
        required
        maxLength={64}
        error={fault}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <Button type="submit" look="primary" label="Create the passkey" disabled={make.isPending} />
    </form>
  );
}
