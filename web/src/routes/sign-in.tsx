// The sign-in page: a passkey alone, or the password and then the second factor of whoever has one.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { body, client } from "../api/client";
import { askPasskey } from "../api/passkey";
import { Problem, type Wanted } from "../api/problem";
import { me } from "../api/queries";
import type { Method } from "../api/view";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Front } from "../parts/front";
import { Notice } from "../parts/notice";
import { ProofForm } from "../parts/proof-form";

export function SignInPage() {
  const [wanted, setWanted] = useState<Wanted>();
  return (
    <Front title="Sign in">
      {wanted ? (
        <SecondStep wanted={wanted} onBack={() => setWanted(undefined)} />
      ) : (
        <FirstStep onWanted={setWanted} />
      )}
    </Front>
  );
}

function FirstStep({ onWanted }: { onWanted: (wanted: Wanted) => void }) {
  const queries = useQueryClient();
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const signIn = useMutation({
    mutationFn: () => body(client.POST("/api/v1/sign-in", { body: { user: user.trim(), password } })),
    onSuccess: (answer) => queries.setQueryData(me.queryKey, answer),
    onError: (error) => {
      const { slug, wanted } = Problem.from(error);
      if (slug === "mfa-required" && wanted) return onWanted(wanted);
      setPassword("");
      field.current?.focus();
    },
  });
  const byPasskey = useMutation({
    mutationFn: async () =>
      body(client.POST("/api/v1/sign-in/passkey", { body: { ticket: null, ...(await askPasskey()) } })),
    onMutate: () => signIn.reset(),
    onSuccess: (answer) => queries.setQueryData(me.queryKey, answer),
    gcTime: 0,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    byPasskey.reset();
    signIn.mutate();
  };
  const error = signIn.error ?? byPasskey.error;
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {error && <Notice tone="bad">{Problem.from(error).message}</Notice>}
      <TextField
        label="User"
        name="user"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
        required
        maxLength={64}
        value={user}
        onChange={(event) => setUser(event.target.value)}
      />
      <TextField
        ref={field}
        label="Password"
        name="password"
        type="password"
        autoComplete="current-password"
        required
        maxLength={1024}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      <Button type="submit" look="primary" label="Sign in" disabled={signIn.isPending} />
      <Button
        label="Sign in with a passkey"
        icon={KeyRound}
        disabled={byPasskey.isPending}
        onClick={() => byPasskey.mutate()}
      />
    </form>
  );
}

function SecondStep({ wanted, onBack }: { wanted: Wanted; onBack: () => void }) {
  const queries = useQueryClient();
  const { methods, ticket = "" } = wanted;
  const signIn = useMutation({
    mutationFn: async ({ method, code }: { method: Method; code: string }) => {
      if (method === "passkey") {
        const shown = await askPasskey();
        return body(client.POST("/api/v1/sign-in/passkey", { body: { ticket, ...shown } }));
      }
      return method === "recovery_code"
        ? body(client.POST("/api/v1/sign-in/recovery-code", { body: { ticket, code } }))
        : body(client.POST("/api/v1/sign-in/totp", { body: { ticket, code } }));
    },
    onSuccess: (answer) => queries.setQueryData(me.queryKey, answer),
    gcTime: 0,
  });
  return (
    <ProofForm
      methods={methods}
      label="Sign in"
      problem={signIn.error ? Problem.from(signIn.error) : undefined}
      isPending={signIn.isPending}
      onShow={(method, code) => signIn.mutate({ method, code })}
    >
      <Button look="bare" label="Back" onClick={onBack} />
    </ProofForm>
  );
}
