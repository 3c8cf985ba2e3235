// The form in which somebody chooses their first password, by a link with a one-time token behind its `#`, so that the token
// never reaches a server log.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { Problem } from "../api/problem";
import { Button } from "./button";
import { TextField } from "./field";
import { Notice } from "./notice";

const LENGTH_MIN = 8;
const LENGTH_MAX = 1_024;

/** What is sent. */
export type Choice = { token: string; password: string };

type Properties<T> = {
  /** What the link leads to. */
  children: ReactNode;
  /** Who gave the link, for whoever opened a part of it. */
  whole: ReactNode;
  /** What the button says. */
  label: string;
  /** Whose password it is, if that is known: password managers keep it under that name. */
  user?: string;
  onChoose: (choice: Choice) => Promise<T>;
  /** Where the address bar and the history go then: the token is used up and has no business in them. */
  path: string;
  onDone: (answer: T) => void;
};

export function PasswordForm<T>({ children, whole, label, user, onChoose, path, onDone }: Properties<T>) {
  const [token] = useState(() => globalThis.location.hash.slice(1));
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [isChecked, setChecked] = useState(false);
  const choose = useMutation({
    mutationFn: () => onChoose({ token, password }),
    onSuccess: (answer) => {
      globalThis.history.replaceState(null, "", path);
      onDone(answer);
    },
    gcTime: 0,
  });
  const problem = choose.error ? Problem.from(choose.error) : undefined;
  const isShort = [...password].length < LENGTH_MIN;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (!isShort && password === again) choose.mutate();
  };
  if (token === "") {
    return (
      <Notice tone="bad">
        This link is not complete. Open the whole link {whole}, with all behind the <code>#</code>.
      </Notice>
    );
  }
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      <p className="text-quiet">{children}</p>
      {problem && !problem.field("/password") && <Notice tone="bad">{problem.message}</Notice>}
      {user && <input type="text" name="user" autoComplete="username" value={user} readOnly hidden />}
      <TextField
        label="Password"
        name="password"
        type="password"
        autoComplete="new-password"
        autoFocus
        maxLength={LENGTH_MAX}
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
        maxLength={LENGTH_MAX}
        error={isChecked && !isShort && password !== again ? "The two passwords differ." : undefined}
        value={again}
        onChange={(event) => setAgain(event.target.value)}
      />
      <Button type="submit" look="primary" label={label} disabled={choose.isPending} />
    </form>
  );
}
