// One's own account: second factors, password, sign-ins and tokens.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { myFactors, mySignIns } from "../api/account";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import type { Factors } from "../api/view";
import { Entry, Part, useChange } from "../parts/account";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Enrolment, RecoveryCodes } from "../parts/enrolment";
import { TextField } from "../parts/field";
import { Failure, Loading } from "../parts/loading";
import { Notice, useSay } from "../parts/notice";
import { PasskeyForm } from "../parts/passkey-form";
import { fullTime } from "../parts/time";
import { TokensPart } from "../parts/tokens";

export function ProfilePage() {
  return (
    <main className="min-h-0 flex-1 overflow-auto p-6 narrow:p-3">
      <div className="mx-auto flex max-w-3xl flex-col gap-6">
        <h1 className="text-lg font-semibold">Profile</h1>
        <FactorPart />
        <PasswordPart />
        <SignInsPart />
        <TokensPart />
      </div>
    </main>
  );
}

function FactorPart() {
  const factors = useQuery(myFactors);
  return (
    <Part title="Second factor">
      {factors.error && <Failure error={factors.error} onRetry={() => factors.refetch()} />}
      {factors.isPending && <Loading what="your second factor" />}
      {factors.data && <FactorList factors={factors.data} />}
    </Part>
  );
}

function FactorList({ factors }: { factors: Factors }) {
  const queries = useQueryClient();
  const [making, setMaking] = useState<"app" | "passkey">();
  const renew = useChange(() => body(client.POST("/api/v1/me/factors/recovery-codes")));
  const remove = useChange(
    () => body(client.DELETE("/api/v1/me/factors")),
    "Your second factor is taken off.",
  );
  const { totp_since, passkeys } = factors;
  const hasOne = Boolean(totp_since) || passkeys.length > 0;
  const done = () => {
    setMaking(undefined);
    queries.invalidateQueries({ queryKey: ["account"] });
  };
  return (
    <div className="flex flex-col gap-3">
      {totp_since && <p>Authenticator app since {fullTime(totp_since)}.</p>}
      {!hasOne && <p>None. With one, nobody signs in as you who only knows your password.</p>}
      <PasskeyList passkeys={passkeys} />
      {hasOne && <p>{factors.recovery_codes_left} recovery codes are left.</p>}
      <div className="flex flex-wrap gap-2">
        <Button
          look={hasOne ? "plain" : "primary"}
          label={totp_since ? "Replace the app" : "Set up an authenticator app"}
          onClick={() => setMaking("app")}
        />
        <Button label="Add a passkey" onClick={() => setMaking("passkey")} />
        {hasOne && (
          <Button
            label="New recovery codes"
            disabled={renew.isPending}
            onClick={() => renew.mutate(undefined)}
          />
        )}
        {hasOne && !factors.required && (
          <Button
            look="danger"
            label="Take all off"
            disabled={remove.isPending}
            onClick={() => remove.mutate(undefined)}
          />
        )}
      </div>
      {making === "app" && (
        <Dialog title="Authenticator app" onClose={done} isEasy={false}>
          <Enrolment onDone={done} />
        </Dialog>
      )}
      {making === "passkey" && (
        <Dialog title="New passkey" onClose={done} isEasy={false}>
          <PasskeyForm onDone={done} />
        </Dialog>
      )}
      {renew.data && (
        <Dialog title="New recovery codes" onClose={() => renew.reset()} isEasy={false}>
          <RecoveryCodes codes={renew.data.recovery_codes} onDone={() => renew.reset()} />
        </Dialog>
      )}
    </div>
  );
}

function PasskeyList({ passkeys }: { passkeys: Factors["passkeys"] }) {
  const remove = useChange(
    (id: string) => body(client.DELETE("/api/v1/me/factors/passkeys/{id}", { params: { path: { id } } })),
    "The passkey is removed. Delete it on its device too.",
  );
  if (passkeys.length === 0) return null;
  return (
    <ul aria-label="Passkeys" className="divide-y divide-line">
      {passkeys.map((one) => (
        <Entry
          key={one.id}
          title={one.name}
          lines={[
            `Passkey since ${fullTime(one.created_at)}`,
            one.last_used_at ? `Last used ${fullTime(one.last_used_at)}` : "Never used",
          ]}
        >
          <Button
            label="Remove"
            aria-label={`Remove the passkey ${one.name}`}
            disabled={remove.isPending}
            onClick={() => remove.mutate(one.id)}
          />
        </Entry>
      ))}
    </ul>
  );
}

const NOTHING = { old: "", next: "", again: "" };

function PasswordPart() {
  const queries = useQueryClient();
  const say = useSay();
  const [text, setText] = useState(NOTHING);
  const [isChecked, setChecked] = useState(false);
  const change = useMutation({
    mutationFn: ({ old, next }: typeof NOTHING) =>
      body(client.PUT("/api/v1/me/password", { body: { old, new: next } })),
    onSuccess: () => {
      setText(NOTHING);
      setChecked(false);
      queries.invalidateQueries({ queryKey: ["account"] });
      say("Your password is changed. Your other sign-ins are over.");
    },
    gcTime: 0,
  });
  const problem = change.error ? Problem.from(change.error) : undefined;
  const isSame = text.next === text.again;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (isSame) change.mutate(text);
  };
  const field = (key: keyof typeof NOTHING) => ({
    type: "password",
    required: true,
    maxLength: 1024,
    autoComplete: key === "old" ? "current-password" : "new-password",
    value: text[key],
    onChange: (event: { target: { value: string } }) => setText({ ...text, [key]: event.target.value }),
  });
  return (
    <Part title="Password">
      <form onSubmit={submit} className="flex max-w-sm flex-col gap-3">
        {problem && problem.fields.length === 0 && <Notice tone="bad">{problem.message}</Notice>}
        <TextField label="Present password" error={problem?.field("/old")} {...field("old")} />
        <TextField
          label="New password"
          hint="At least 8 characters. A sentence is good."
          error={problem?.field("/new")}
          {...field("next")}
        />
        <TextField
          label="New password again"
          error={isChecked && !isSame ? "The two passwords differ." : undefined}
          {...field("again")}
        />
        <Button type="submit" label="Change password" disabled={change.isPending} />
      </form>
    </Part>
  );
}

function SignInsPart() {
  const list = useQuery(mySignIns);
  const end = useChange(
    (id: string) => body(client.DELETE("/api/v1/sign-ins/{id}", { params: { path: { id } } })),
    "The sign-in is over.",
  );
  const endOthers = useChange(
    () => body(client.POST("/api/v1/sign-ins/end", { body: { user: null, own_too: false } })),
    "Your other sign-ins are over.",
  );
  const hasOthers = list.data?.some((one) => !one.own);
  return (
    <Part title="Sign-ins">
      {list.error && <Failure error={list.error} onRetry={() => list.refetch()} />}
      {list.isPending && <Loading what="your sign-ins" />}
      <ul className="divide-y divide-line">
        {list.data?.map((one) => (
          <Entry
            key={one.id}
            title={one.own ? `This browser, ${one.peer}` : one.peer}
            lines={[
              one.agent || "A program without a name",
              `Since ${fullTime(one.created_at)}, last used ${fullTime(one.last_seen_at)}`,
              one.second_factor ? "With a second factor" : "With a password",
            ]}
          >
            {!one.own && (
              <Button
                label="End"
                aria-label={`End the sign-in from ${one.peer}`}
                disabled={end.isPending}
                onClick={() => end.mutate(one.id)}
              />
            )}
          </Entry>
        ))}
      </ul>
      {hasOthers && (
        <Button
          label="End all others"
          className="mt-3"
          disabled={endOthers.isPending}
          onClick={() => endOthers.mutate(undefined)}
        />
      )}
    </Part>
  );
}
