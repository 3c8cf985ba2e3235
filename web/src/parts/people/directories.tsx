// The directories that people sign in by: when each was looked at, how that went, and a look at once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { BookUser, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { body, client } from "../../api/client";
import { directories as directoriesQuery, people } from "../../api/people";
import { Problem } from "../../api/problem";
import type { Directory, Synced } from "../../api/view";
import { Button } from "../button";
import { Confirm } from "../confirm";
import { Notice, useSay } from "../notice";
import { fullTime, shortTime } from "../time";

type Properties = { directories: Directory[]; mayLook: boolean };

export function Directories({ directories, mayLook }: Properties) {
  if (directories.length === 0) return null;
  return (
    <ul aria-label="Directories" className="divide-y divide-line border-t border-line">
      {directories.map((directory) => (
        <One key={directory.id} directory={directory} mayLook={mayLook} />
      ))}
    </ul>
  );
}

function One({ directory, mayLook }: { directory: Directory; mayLook: boolean }) {
  const queries = useQueryClient();
  const say = useSay();
  const [isHeld, setHeld] = useState(false);
  const { name, error, due_at } = directory;
  const readAgain = () => {
    for (const { queryKey } of [directoriesQuery, people]) queries.invalidateQueries({ queryKey });
  };
  const look = (confirm: boolean) =>
    body(
      client.POST("/api/v1/identity-providers/{name}/sync", {
        params: { path: { name } },
        body: { confirm },
      }),
    );
  const looking = useMutation({
    mutationFn: () => look(false),
    onSuccess: (synced) => say(told(name, synced)),
    onError: (failed) => setHeld(Problem.from(failed).slug === "sync-held"),
    onSettled: readAgain,
  });
  const problem = looking.error ? Problem.from(looking.error) : undefined;
  const Icon = error ? TriangleAlert : BookUser;
  return (
    <li className="flex flex-wrap items-start gap-x-3 gap-y-1 px-4 py-2 break-words">
      <Icon size={16} className={`mt-0.5 shrink-0 ${error ? "text-bad" : "text-quiet"}`} aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p>
          <span className="font-semibold">{name}</span>: {whoIsThere(directory)}
        </p>
        {error && <p className="text-bad">The last look changed nothing: {error}.</p>}
        <p className="flex flex-wrap gap-x-3 text-quiet tabular-nums">
          <When what={error ? "Last good look" : "Looked at"} at={directory.succeeded_at} />
          {error && <When what="Failed" at={directory.ended_at} />}
          {due_at && <When what="Next look" at={due_at} />}
        </p>
        {problem && problem.slug !== "sync-held" && <Notice tone="bad">{problem.message}</Notice>}
      </div>
      {mayLook && <Button label="Look now" disabled={looking.isPending} onClick={() => looking.mutate()} />}
      {isHeld && problem && (
        <Confirm
          title={`Take these people of ${name} away?`}
          label="Take them away"
          act={() => look(true)}
          done={(synced) => told(name, synced)}
          onDone={readAgain}
          onClose={() => setHeld(false)}
        >
          {problem.message} Their sign-ins, tokens and sessions end.
        </Confirm>
      )}
    </li>
  );
}

function When({ what, at }: { what: string; at: string | null | undefined }) {
  if (!at) return <span>{what}: never</span>;
  return (
    <span>
      {what}:{" "}
      <time dateTime={at} title={fullTime(at)}>
        {shortTime(at)}
      </time>
    </span>
  );
}

/** How many users it vouches for, and what became of them. */
function whoIsThere({ users, linked, away }: Directory): string {
  const parts = [
    `${linked - away.length} found`,
    away.length > 0 && `${away.length} let in no more`,
    users > linked && `${users - linked} never signed in`,
  ];
  return `${users === 1 ? "1 user" : `${users} users`}, ${parts.filter(Boolean).join(", ")}`;
}

function told(name: string, { gone, back, regrouped }: Synced): string {
  const parts = [
    gone.length > 0 && `${gone.length} let in no more`,
    back.length > 0 && `${back.length} let in again`,
    regrouped.length > 0 && `${regrouped.length} in other groups`,
  ].filter(Boolean);
  return `${name} was looked at: ${parts.join(", ") || "nothing is different"}.`;
}
