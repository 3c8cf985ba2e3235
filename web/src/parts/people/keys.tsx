// Somebody's SSH keys, and taking one away that was lost.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { body, client } from "../../api/client";
import { keysOf } from "../../api/people";
import type { SshKey } from "../../api/view";
import { Entry } from "../account";
import { Button } from "../button";
import { Confirm } from "../confirm";
import { Failure, Loading } from "../loading";
import { fullTime } from "../time";

export function Keys({ name, mayRemove }: { name: string; mayRemove: boolean }) {
  const queries = useQueryClient();
  const keys = useQuery(keysOf(name));
  const [gone, setGone] = useState<SshKey>();
  if (keys.error) return <Failure error={keys.error} onRetry={keys.refetch} />;
  if (!keys.data) return <Loading what="the SSH keys" />;
  return (
    <div>
      <p className="font-medium">{keys.data.length === 0 ? "No SSH key." : "SSH keys"}</p>
      <ul aria-label="SSH keys" className="max-h-48 divide-y divide-line overflow-auto">
        {keys.data.map((key) => (
          <Entry key={key.id ?? key.fingerprint} title={titleOf(key)} lines={[key.fingerprint, story(key)]}>
            {mayRemove && key.id && (
              <Button
                label="Remove"
                aria-label={`Remove the SSH key ${titleOf(key)}`}
                onClick={() => setGone(key)}
              />
            )}
          </Entry>
        ))}
      </ul>
      {gone?.id && (
        <Confirm
          title={`Take the SSH key ${titleOf(gone)} of ${name} away?`}
          label="Take away"
          act={() =>
            body(
              client.DELETE("/api/v1/users/{name}/ssh-keys/{id}", {
                params: { path: { name, id: gone.id ?? "" } },
              }),
            )
          }
          done={() => `${name} has the SSH key ${titleOf(gone)} no more.`}
          onDone={() => queries.invalidateQueries({ queryKey: ["person", name] })}
          onClose={() => setGone(undefined)}
        >
          Connections that were entered with it are cut, and {name} is told.
        </Confirm>
      )}
    </div>
  );
}

const titleOf = (key: SshKey) => key.name || "without a name";

function story({ id, created_at, last_used_at, proven }: SshKey) {
  const used = last_used_at ? `last used ${fullTime(last_used_at)}` : "never used";
  if (!id) return `By the configuration, ${used}`;
  return `Since ${fullTime(created_at ?? "")}, ${proven ? used : "not used yet"}`;
}
