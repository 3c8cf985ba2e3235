// The page of an invitation: whoever was invited chooses a password, and then signs in with it like everybody. The one-time
// token is behind the `#` of the link, so that it never reaches a server log.
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Front } from "../parts/front";
import { Notice } from "../parts/notice";

const LENGTH_MIN = 8;

export function InvitationPage() {
  const [token] = useState(() => globalThis.location.hash.slice(1));
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [isChecked, setChecked] = useState(false);
  const accept = useMutation({
    mutationFn: () => body(client.POST("/api/v1/accept-invitation", { body: { token, password } })),
    // The token is used up: it has no business in the address bar or the history.
    onSuccess: () => globalThis.history.replaceState(null, "", "/invitation"),
  });
  const problem = accept.error ? Problem.from(accept.error) : undefined;
  const isShort = [...password].length < LENGTH_MIN;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (!isShort && password === again) accept.mutate();
  };
  if (accept.isSuccess) {
    return (
      <Front title="Your password is set">
        <Link to="/sign-in" className="font-medium text-accent underline">
          Sign in with it
        </Link>
      </Front>
    );
  }
  return (
    <Front title="Welcome to Cardea">
      {token === "" ? (
        <Notice tone="bad">
          This link is not complete. Open the whole link of the mail, with all behind the <code>#</code>.
        </Notice>
      ) : (
        <form noValidate onSubmit={submit} className="flex flex-col gap-4">
          <p className="text-quiet">Choose your password. The link works once.</p>
          {problem && !problem.field("/password") && <Notice tone="bad">{problem.message}</Notice>}
          <TextField
            label="Password"
            name="password"
            type="password"
            autoComplete="new-password"
            autoFocus
            maxLength={1024}
            hint={`At least ${LENGTH_MIN} characters.`}
            error={
              isChecked && isShort ? `Write at least ${LENGTH_MIN} characters.` : problem?.field("/password")
            }
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
          <TextField
            label="Password again"
            name="again"
            type="password"
            autoComplete="new-password"
            maxLength={1024}
            error={isChecked && !isShort && password !== again ? "The two passwords differ." : undefined}
            value={again}
            onChange={(event) => setAgain(event.target.value)}
          />
          <Button type="submit" look="primary" label="Set password" disabled={accept.isPending} />
        </form>
      )}
    </Front>
  );
}
