// The sign-in page: an identity provider, a passkey alone, or the password and then the second factor of whoever has one.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, LogIn } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { body, client } from "../api/client";
import { askPasskey } from "../api/passkey";
import { Problem, type Wanted } from "../api/problem";
import { leaveForSignIn, waysIn } from "../api/provider";
import { me } from "../api/queries";
import type { Method, WayIn } from "../api/view";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Front } from "../parts/front";
import { Notice } from "../parts/notice";
import { ProofForm } from "../parts/proof-form";

/** Why a sign-in by a provider came to nothing. */
const REFUSED: Record<string, string> = {
  "not-let-in":
    "You are known there, and not let in here: ask an administrator to link a user to you, or to let you in again.",
  "provider-away": "The identity provider does not answer. Try again in a moment.",
  "provider-fault":
    "The identity provider's answer does not count. Begin again; if it stays so, ask an administrator.",
  "provider-says-no": "The identity provider did not let you in.",
  "trip-over":
    "This sign-in took too long, was finished before, or was begun in another browser or at another address of Cardea. Begin again.",
};

/** `next`: where to go afterwards. `refused`: why a provider's way led back here. */
type Search = { next?: string; refused?: string };

export function SignInPage(search: Search) {
  const [wanted, setWanted] = useState<Wanted>();
  return (
    <Front title="Sign in">
      {wanted ? (
        <SecondStep wanted={wanted} onBack={() => setWanted(undefined)} />
      ) : (
        <FirstStep {...search} onWanted={setWanted} />
      )}
    </Front>
  );
}

function FirstStep({ next, refused, onWanted }: Search & { onWanted: (wanted: Wanted) => void }) {
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
  const byProvider = useMutation({
    mutationFn: (name: string) => leaveForSignIn(name, next ?? "/"),
    onMutate: () => signIn.reset(),
  });
  const ways = useQuery(waysIn).data ?? [];
  const first = ways.find((way) => way.is_default);
  const error = signIn.error ?? byPasskey.error ?? byProvider.error;
  const isTried = !signIn.isIdle || !byPasskey.isIdle || !byProvider.isIdle;
  const button = (way: WayIn) => (
    <Button
      key={way.name}
      look={way.is_default ? "primary" : "plain"}
      label={`Sign in with ${way.display_name}`}
      icon={LogIn}
      disabled={byProvider.isPending}
      onClick={() => byProvider.mutate(way.name)}
    />
  );
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {error && <Notice tone="bad">{Problem.from(error).message}</Notice>}
      {refused && !isTried && <Notice tone="bad">{REFUSED[refused] ?? REFUSED["provider-fault"]}</Notice>}
      {first && (
        <>
          {button(first)}
          <Or />
        </>
      )}
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
      <Button type="submit" look={first ? "plain" : "primary"} label="Sign in" disabled={signIn.isPending} />
      <Button
        label="Sign in with a passkey"
        icon={KeyRound}
        disabled={byPasskey.isPending}
        onClick={() => byPasskey.mutate()}
      />
      {ways.filter((way) => way !== first).map(button)}
    </form>
  );
}

function Or() {
  return (
    <div className="flex items-center gap-3 text-quiet">
      <span className="h-px flex-1 bg-line" />
      or
      <span className="h-px flex-1 bg-line" />
    </div>
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
