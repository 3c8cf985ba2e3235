// The set-up page: the first administrator chooses a password. The one-time token is behind the `#` of the link, so
// that it never reaches a server log.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { me } from "../api/queries";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Front } from "../parts/front";
import { Notice } from "../parts/notice";

const LENGTH_MIN = 8;

export function SetUpPage() {
  const queries = useQueryClient();
  const [token] = useState(() => globalThis.location.hash.slice(1));
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [isChecked, setChecked] = useState(false);
  const setUp = useMutation({
    mutationFn: () => body(client.POST("/api/v1/set-up", { body: { token, password } })),
    onSuccess: (answer) => {
      // The token is used up: it has no business in the address bar or the history.
      globalThis.history.replaceState(null, "", "/");
      queries.setQueryData(me.queryKey, answer);
    },
  });
  const problem = setUp.error ? Problem.from(setUp.error) : undefined;
  const isShort = [...password].length < LENGTH_MIN;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (!isShort && password === again) setUp.mutate();
  };
  return (
    <Front title="Set up Cardea">
      {token === "" ? (
        <Notice tone="bad">
          This link is not complete. Open the whole link that <code>cardea init</code> printed, with all
          behind the <code>#</code>.
        </Notice>
      ) : (
        <form noValidate onSubmit={submit} className="flex flex-col gap-4">
          <p className="text-quiet">
            Choose the password of the first administrator, <b className="text-ink">admin</b>. The link works
            once.
          </p>
          {problem && !problem.field("/password") && <Notice tone="bad">{problem.message}</Notice>}
          <input type="text" name="user" autoComplete="username" value="admin" readOnly hidden />
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
          <Button type="submit" look="primary" label="Set password and sign in" disabled={setUp.isPending} />
        </form>
      )}
    </Front>
  );
}
