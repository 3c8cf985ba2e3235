// The page of an invitation: whoever was invited chooses a password, and then signs in with it like everybody.
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { body, client } from "../api/client";
import { Front } from "../parts/front";
import { PasswordForm } from "../parts/password-form";

export function InvitationPage() {
  const [isDone, setDone] = useState(false);
  if (isDone) {
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
      <PasswordForm
        label="Set password"
        whole="of the mail"
        path="/invitation"
        onChoose={(choice) => body(client.POST("/api/v1/accept-invitation", { body: choice }))}
        onDone={() => setDone(true)}
      >
        Choose your password. The link works once.
      </PasswordForm>
    </Front>
  );
}
