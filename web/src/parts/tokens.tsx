// One's API tokens: how programs act in one's name.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { myTokens } from "../api/account";
import { body, client } from "../api/client";
import { me as meQuery } from "../api/queries";
import type { Token } from "../api/view";
import { Entry, Part } from "./account";
import { Button } from "./button";
import { Confirm } from "./confirm";
import { Failure, Loading } from "./loading";
import { NewTokenDialog } from "./new-token";
import { fullTime } from "./time";

export function TokensPart() {
  const { data: me } = useQuery(meQuery);
  const list = useQuery(myTokens);
  const queries = useQueryClient();
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const readAnew = () => queries.invalidateQueries({ queryKey: myTokens.queryKey });
  return (
    <Part title="API tokens">
      {list.error && <Failure error={list.error} onRetry={() => list.refetch()} />}
      {list.isPending && !list.error && <Loading what="your tokens" />}
      {list.data?.length === 0 && <p className="text-quiet">No program acts in your name.</p>}
      {list.data && list.data.length > 0 && (
        <ul aria-label="Your tokens" className="max-h-96 divide-y divide-line overflow-auto">
          {list.data.map((one) => (
            <Entry key={one.id} title={one.name || "Without a name"} lines={linesOf(one)}>
              <Button
                look="danger"
                label="Revoke"
                aria-label={`Revoke the token ${one.name}`}
                onClick={() => setRevoking(one)}
              />
            </Entry>
          ))}
        </ul>
      )}
      {me?.permissions.includes("tokens.create") && (
        <Button label="New token" icon={Plus} className="mt-3" onClick={() => setMaking(true)} />
      )}
      {isMaking && <NewTokenDialog onMade={readAnew} onClose={() => setMaking(false)} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name || "this token"}?`}
          label="Revoke"
          act={() => body(client.DELETE("/api/v1/tokens/{id}", { params: { path: { id: revoking.id } } }))}
          done={() => "The token is revoked."}
          onDone={readAnew}
          onClose={() => setRevoking(undefined)}
        >
          Programs that use it get in nowhere any more, at once. It cannot be brought back.
        </Confirm>
      )}
    </Part>
  );
}

/** What there is to say of a token, a sentence a line. */
export function linesOf(token: Token): string[] {
  return [
    `May: ${token.scopes.join(", ")}${token.operator_issued ? "; made by whoever runs Cardea" : ""}`,
    `Until ${fullTime(token.expires_at)}`,
    token.last_used_at ? `Last used ${fullTime(token.last_used_at)}` : "Never used",
  ];
}
