// The set-up page: the first administrator chooses a password.
import { useQueryClient } from "@tanstack/react-query";
import { body, client } from "../api/client";
import { me } from "../api/queries";
import { Front } from "../parts/front";
import { PasswordForm } from "../parts/password-form";

const USER = "admin";

export function SetUpPage() {
  const queries = useQueryClient();
  return (
    <Front title="Set up Cardea">
      <PasswordForm
        label="Set password and sign in"
        whole={
          <>
            that <code>cardea init</code> printed
          </>
        }
        path="/"
        user={USER}
        onChoose={(choice) => body(client.POST("/api/v1/set-up", { body: choice }))}
        onDone={(answer) => queries.setQueryData(me.queryKey, answer)}
      >
        Choose the password of the first administrator, <b className="text-ink">{USER}</b>. The link works
        once.
      </PasswordForm>
    </Front>
  );
}
