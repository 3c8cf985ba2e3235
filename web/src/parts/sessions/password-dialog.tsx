// The password of a session's login account: to look at for some seconds, or to copy without looking.
import { useMutation } from "@tanstack/react-query";
import { Eye, EyeOff, KeySquare } from "lucide-react";
import { body, client } from "../../api/client";
import { Problem } from "../../api/problem";
import type { Password, Session } from "../../api/view";
import { Button, IconButton } from "../button";
import { CopyButton } from "../copy";
import { Dialog } from "../dialog";
import { Notice, useSay } from "../notice";
import { nameOf, usePage, useRowTab } from "./context";
import { useSecret } from "./secret";

function reveal(session: Session): Promise<Password> {
  return body(client.POST("/api/v1/sessions/{id}/password", { params: { path: { id: session.id } } }));
}

/** Copies the password, or shows it: what stands beside the account's name where the profile allows it. */
export function PasswordButtons({ session }: { session: Session }) {
  const { onOpen } = usePage();
  const tabIndex = useRowTab();
  const say = useSay();
  const copy = useMutation({
    mutationFn: async () => {
      const { password } = await reveal(session);
      await navigator.clipboard.writeText(password);
    },
    onSuccess: () => say(`Copied the password of ${session.login_account}.`),
    onError: (error) =>
      say(
        error instanceof Problem
          ? error.message
          : "Your browser does not let this page copy: view the password instead.",
      ),
    gcTime: 0,
  });
  if (!session.actions.reveal_password) return null;
  return (
    <>
      <IconButton
        label={`Copy password of ${session.login_account}`}
        icon={KeySquare}
        tabIndex={tabIndex}
        disabled={copy.isPending}
        onClick={() => copy.mutate()}
      />
      <IconButton
        label={`View password of ${session.login_account}`}
        icon={Eye}
        tabIndex={tabIndex}
        onClick={() => onOpen({ kind: "password", session })}
      />
    </>
  );
}

export function PasswordDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const shown = useSecret(
    () => reveal(session),
    (answer) => answer.hide_after_s,
  );
  const { secret, left, problem } = shown;
  return (
    <Dialog
      title="Password of the login account"
      description={`${nameOf(session)}, until the session ends. That you see it is written down.`}
      onClose={onClose}
      footer={<Button label="Close" onClick={onClose} />}
    >
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-center gap-x-4 gap-y-2">
        <dt className="text-quiet">User name</dt>
        <dd className="flex items-center gap-1">
          <code className="font-mono break-all">{session.login_account}</code>
          <CopyButton text={session.login_account} label="Copy user name" />
        </dd>
        <dt className="text-quiet">Password</dt>
        <dd className="flex min-h-8 flex-wrap items-center gap-1">
          {secret ? (
            <>
              <code className="rounded border border-line bg-sunken px-2 py-0.5 font-mono break-all">
                {secret.password}
              </code>
              <CopyButton text={secret.password} label="Copy password" isSecret />
            </>
          ) : (
            <span className="inline-flex items-center gap-1.5 text-quiet">
              <EyeOff size={15} aria-hidden="true" />
              {shown.isPending ? "Asking the host…" : "Hidden"}
            </span>
          )}
        </dd>
      </dl>
      <div className="mt-3 flex min-h-8 items-center gap-2">
        {secret && <p className="text-quiet tabular-nums">Hidden again in {left} s.</p>}
        {!secret && !shown.isPending && <Button label="Show again" icon={Eye} onClick={shown.ask} />}
      </div>
      {problem && <Notice tone="bad">{problem.message}</Notice>}
    </Dialog>
  );
}
