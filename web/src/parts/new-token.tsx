// Makes a token, and shows it this once.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import type { NewToken, TokenScope } from "../api/view";
import { Button } from "./button";
import { CopyButton } from "./copy";
import { Dialog } from "./dialog";
import { FieldError, SelectField, TextField } from "./field";
import { Notice } from "./notice";
import { fullTime } from "./time";

const NAME_MAX = 64;
const DAY_MS = 86_400_000;
const DAYS = [1, 7, 30, 90, 365];

/** What each scope lets a token do, as far as its user may. Reading is in every one. */
const SCOPES: Record<TokenScope, string> = {
  read: "See what you may see. Every token may.",
  sessions: "Request, extend, join and end sessions, with the passwords of their login accounts.",
  decide: "Say yes or no to requests of others, and review what began without approval.",
  operation: "Lock, search hosts, have removals tried, end sign-ins and tokens.",
  configuration: "Change users, policies and every other object.",
};

type Properties = { onMade: () => void; onClose: () => void };

export function NewTokenDialog({ onMade, onClose }: Properties) {
  const form = useId();
  const make = useMutation({
    mutationFn: (wish: Wish) => body(client.POST("/api/v1/tokens", { body: wish })),
    onSuccess: onMade,
    // The value is in this window and nowhere else.
    gcTime: 0,
  });
  if (make.data) {
    return (
      <Dialog
        title="Your new token"
        onClose={onClose}
        isEasy={false}
        footer={<Button look="primary" label="I have kept it" onClick={onClose} />}
      >
        <Made token={make.data} />
      </Dialog>
    );
  }
  return (
    <Dialog
      title="New token"
      description="A program that shows it acts in your name. It is not asked for a factor."
      onClose={onClose}
      isEasy={false}
      footer={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button type="submit" form={form} look="primary" label="Make" disabled={make.isPending} />
        </>
      }
    >
      <Form
        id={form}
        problem={make.error ? Problem.from(make.error) : undefined}
        onWish={(wish) => make.mutate(wish)}
      />
    </Dialog>
  );
}

type Wish = { name: string; expires_at: string; scopes: TokenScope[] };

function Form({
  id,
  problem,
  onWish,
}: {
  id: string;
  problem: Problem | undefined;
  onWish: (wish: Wish) => void;
}) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<TokenScope[]>([]);
  const [days, setDays] = useState("30");
  const [isChecked, setChecked] = useState(false);
  const fields = ["/name", "/scopes", "/expires_at"];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (!name.trim()) return;
    const expires_at = new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    onWish({ name: name.trim(), expires_at, scopes: ["read", ...scopes] });
  };
  return (
    <form id={id} noValidate onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="Name"
        hint="What it is for, so that you know it again."
        aria-required
        autoComplete="off"
        maxLength={NAME_MAX}
        error={isChecked && !name.trim() ? "Write what it is for." : problem?.field("/name")}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <ScopesField scopes={scopes} error={problem?.field("/scopes")} onScopes={setScopes} />
      <SelectField
        label="Ends after"
        hint="It can be revoked before."
        options={DAYS.map((each) => ({ value: String(each), name: each === 1 ? "1 day" : `${each} days` }))}
        error={problem?.field("/expires_at")}
        value={days}
        onChange={(event) => setDays(event.target.value)}
      />
      {problem && !fields.some((field) => problem.field(field)) && (
        <Notice tone="bad">{problem.message}</Notice>
      )}
    </form>
  );
}

function ScopesField({
  scopes,
  error,
  onScopes,
}: {
  scopes: TokenScope[];
  error: string | undefined;
  onScopes: (scopes: TokenScope[]) => void;
}) {
  const id = useId();
  return (
    <fieldset className="flex flex-col gap-2" aria-describedby={id}>
      <legend className="mb-1 font-medium">What it may do</legend>
      <p id={id} className="text-quiet">
        Never more than you may yourself.
      </p>
      {(Object.keys(SCOPES) as TokenScope[]).map((scope) => (
        <label key={scope} className="flex gap-2.5">
          <input
            type="checkbox"
            className="mt-0.5 size-4 shrink-0"
            checked={scope === "read" || scopes.includes(scope)}
            disabled={scope === "read"}
            onChange={({ target }) =>
              onScopes(target.checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))
            }
          />
          <span className="min-w-0">
            <span className="font-medium">{scope}</span>{" "}
            <span className="block text-quiet">{SCOPES[scope]}</span>
          </span>
        </label>
      ))}
      <FieldError error={error} />
    </fieldset>
  );
}

/** The token, to be kept. It is never shown again. */
function Made({ token }: { token: NewToken }) {
  return (
    <div className="flex flex-col gap-3">
      <p>Keep it where the program finds it and nobody else does. It is not shown again.</p>
      <div className="flex items-center gap-2 rounded-md border border-line bg-sunken p-3">
        {/* Selected as a whole by a click, for who cannot copy by the button. */}
        <code data-token className="min-w-0 flex-1 break-all select-all">
          {token.token}
        </code>
        <CopyButton text={token.token} label="Copy the token" isSecret />
      </div>
      <p className="text-quiet">
        For <code>CARDEA_TOKEN_FILE</code> of the command line, or the header{" "}
        <code>Authorization: Bearer</code>. {token.name} ends {fullTime(token.expires_at)}.
      </p>
    </div>
  );
}
