// Launch: the command that joins a session, and the one-time token that the client then asks for.
import { RotateCcw } from "lucide-react";
import { body, client } from "../../api/client";
import type { Session } from "../../api/view";
import { Button } from "../button";
import { CopyButton } from "../copy";
import { Dialog } from "../dialog";
import { Notice } from "../notice";
import { nameOf, sshCommand, usePage } from "./context";
import { useSecret } from "./secret";

/** How long a token is good: from when it came, since this machine's clock may be wrong. */
const GOOD_S = 60;

export function LaunchDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const { me } = usePage();
  const launch = useSecret(
    () => body(client.POST("/api/v1/sessions/{id}/launch", { params: { path: { id: session.id } } })),
    () => GOOD_S,
  );
  const { secret, left, problem } = launch;
  const command = secret?.command ?? sshCommand(session, me);
  return (
    <Dialog
      title="Launch"
      description={`${nameOf(session)}, from your own terminal.`}
      onClose={onClose}
      footer={<Button label="Close" onClick={onClose} />}
    >
      <ol className="flex list-decimal flex-col gap-3 pl-5">
        <li>
          Run this:
          {command && <Line text={command} label="Copy ssh command" />}
        </li>
        <li>
          When it asks for a password, paste this token. It is good once.
          {secret ? (
            <Line text={secret.token} label="Copy token" isSecret />
          ) : (
            <p className="flex min-h-9 items-center text-quiet">
              {launch.isPending ? "Making one…" : "The token is good no more."}
            </p>
          )}
        </li>
      </ol>
      <div className="mt-3 flex min-h-8 items-center gap-2">
        {secret && (
          <p className={`tabular-nums ${left <= 10 ? "font-semibold text-warn" : "text-quiet"}`}>
            Good for {left} s.
          </p>
        )}
        {!secret && !launch.isPending && (
          <Button label="Make another" icon={RotateCcw} onClick={launch.ask} />
        )}
      </div>
      {problem && <Notice tone="bad">{problem.message}</Notice>}
      <p className="mt-3 text-quiet">A client with a key that you registered asks for nothing.</p>
    </Dialog>
  );
}

function Line({ text, label, isSecret = false }: { text: string; label: string; isSecret?: boolean }) {
  return (
    <span className="mt-1 flex items-center gap-1">
      <code className="min-w-0 rounded border border-line bg-sunken px-2 py-1 font-mono text-xs break-all">
        {text}
      </code>
      <CopyButton text={text} label={label} isSecret={isSecret} />
    </span>
  );
}
