// Sets an authenticator app up: the secret, a code that proves it, then the recovery codes, each shown once.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { Button } from "./button";
import { CopyButton } from "./copy";
import { TextField } from "./field";
import { Notice } from "./notice";
import { Qr } from "./qr";

export function Enrolment({ onMade, onDone }: { onMade?: () => void; onDone: () => void }) {
  const begin = useMutation({
    mutationFn: () => body(client.POST("/api/v1/me/factors/totp")),
    gcTime: 0,
  });
  const confirm = useMutation({
    mutationFn: (code: string) => body(client.POST("/api/v1/me/factors/totp/confirm", { body: { code } })),
    onSuccess: () => onMade?.(),
    gcTime: 0,
  });
  if (confirm.data) return <RecoveryCodes codes={confirm.data.recovery_codes} onDone={onDone} />;
  if (!begin.data) {
    return (
      <div className="flex flex-col gap-4">
        <p>You need an app on your phone that shows one-time codes, such as Aegis or Google Authenticator.</p>
        {begin.error && <Notice tone="bad">{Problem.from(begin.error).message}</Notice>}
        <Button
          look="primary"
          label="Set up the app"
          disabled={begin.isPending}
          onClick={() => begin.mutate()}
        />
      </div>
    );
  }
  const { secret, uri } = begin.data;
  const problem = confirm.error ? Problem.from(confirm.error) : undefined;
  return (
    <div className="flex flex-col gap-4">
      <p>Scan this with the app, or type the secret into it.</p>
      <Qr text={uri} label="QR code for the authenticator app" />
      <p className="flex items-center gap-1">
        <code className="rounded border border-line bg-sunken px-2 py-0.5 font-mono break-all">{secret}</code>
        <CopyButton text={secret} label="Copy secret" isSecret />
      </p>
      <CodeForm problem={problem} isPending={confirm.isPending} onCode={(code) => confirm.mutate(code)} />
      {problem?.slug === "no-enrolment" && (
        <Button
          label="Begin again"
          onClick={() => {
            confirm.reset();
            begin.reset();
          }}
        />
      )}
    </div>
  );
}

function CodeForm({
  problem,
  isPending,
  onCode,
}: {
  problem: Problem | undefined;
  isPending: boolean;
  onCode: (code: string) => void;
}) {
  const [code, setCode] = useState("");
  const fault = problem?.field("/code");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setCode("");
    onCode(code);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !fault && <Notice tone="bad">{problem.message}</Notice>}
      <TextField
        label="Code that the app shows"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        maxLength={16}
        error={fault}
        value={code}
        onChange={(event) => setCode(event.target.value)}
      />
      <Button type="submit" look="primary" label="Confirm" disabled={isPending} />
    </form>
  );
}

/** Recovery codes, to be kept. They are never shown again. */
export function RecoveryCodes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  return (
    <div className="flex flex-col gap-4">
      <p>
        Keep these recovery codes where your phone is not. Each stands in for the second factor once. They are
        not shown again.
      </p>
      <ul aria-label="Recovery codes" className="columns-1 rounded-md border border-line bg-sunken p-3">
        {codes.map((code) => (
          <li key={code} className="font-mono">
            {code}
          </li>
        ))}
      </ul>
      <div className="flex items-center justify-end gap-2">
        <CopyButton text={codes.join("\n")} label="Copy recovery codes" isSecret />
        <Button look="primary" label="I have kept them" onClick={onDone} />
      </div>
    </div>
  );
}
