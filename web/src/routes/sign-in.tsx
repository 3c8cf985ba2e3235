// The sign-in page.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { me } from "../api/queries";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Front } from "../parts/front";
import { Notice } from "../parts/notice";

export function SignInPage() {
  const queries = useQueryClient();
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const signIn = useMutation({
    mutationFn: () => body(client.POST("/api/v1/sign-in", { body: { user: user.trim(), password } })),
    onSuccess: (answer) => queries.setQueryData(me.queryKey, answer),
    onError: () => {
      setPassword("");
      field.current?.focus();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate();
  };
  return (
    <Front title="Sign in">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {signIn.error && <Notice tone="bad">{Problem.from(signIn.error).message}</Notice>}
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
      </form>
    </Front>
  );
}
