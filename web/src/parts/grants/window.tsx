// "Privileges still out there": the number, and the ledger behind it.
import { useQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useMemo, useState } from "react";
import { activeSessions, grantsOut, seesAll } from "../../api/queries";
import type { Grant, Me } from "../../api/view";
import { Dialog } from "../dialog";
import { SearchField } from "../field";
import { Empty, Failure, Loading } from "../loading";
import { fold } from "../sessions/view";
import { GrantTable } from "./table";

/** Rows that are drawn at most; the search finds the others. */
const ROWS_MAX = 300;

/** The number, as a button that opens the ledger. */
export function GrantsTile({ onOpen }: { onOpen: () => void }) {
  const grants = useQuery(grantsOut);
  const failing = [...(grants.data?.values() ?? [])].filter((grant) => grant.last_error).length;
  return (
    <button
      type="button"
      onClick={onOpen}
      className="flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-3 hover:bg-hover"
    >
      <KeyRound size={15} className="text-brass" aria-hidden="true" />
      <span>
        <span className="narrow:hidden">Privileges still out there: </span>
        <span className="wide:hidden">Still out there: </span>
        <b className="tabular-nums">{grants.data?.size ?? "…"}</b>
      </span>
      {failing > 0 && <span className="font-semibold text-bad narrow:hidden">{failing} failing</span>}
    </button>
  );
}

export function GrantsWindow({ me, onClose }: { me: Me; onClose: () => void }) {
  const grants = useQuery(grantsOut);
  const sessions = useQuery(activeSessions(seesAll(me) ? "all" : "mine"));
  const [text, setText] = useState("");
  const found = useMemo(() => find([...(grants.data?.values() ?? [])], text), [grants.data, text]);
  const stalled = useMemo(
    () => new Set([...(sessions.data?.values() ?? [])].filter((it) => it.cleanup_stalled).map((it) => it.id)),
    [sessions.data],
  );
  return (
    <Dialog
      size="large"
      title="Privileges still out there"
      description="Everything that Cardea placed on a host and has not yet proved to be gone. It stays here until its removal was read back."
      onClose={onClose}
    >
      <div className="flex flex-wrap items-center gap-2 pb-3">
        <SearchField
          label="Search privileges"
          value={text}
          onValue={setText}
          className="w-56 narrow:flex-1"
        />
        <span className="text-quiet tabular-nums" role="status">
          {grants.data && `${found.length} of ${grants.data.size}`}
          {found.length > ROWS_MAX && `; the first ${ROWS_MAX} are shown, search to find others`}
        </span>
      </div>
      {grants.isPending ? <Loading what="the ledger" /> : null}
      {grants.isError && !grants.data ? (
        <Failure error={grants.error} onRetry={() => grants.refetch()} />
      ) : null}
      {grants.data?.size === 0 && <Empty title="Nothing is out there." />}
      {grants.data && grants.data.size > 0 && found.length === 0 ? (
        <Empty title="No privilege matches." />
      ) : null}
      {found.length > 0 && (
        <GrantTable
          grants={found.slice(0, ROWS_MAX)}
          caption="Privileges still out there"
          of="ledger"
          canTry={me.permissions.includes("removals.try")}
          stalled={stalled}
        />
      )}
    </Dialog>
  );
}

/** Grants that hold the text; those that fail first, then those being removed, then by host. */
function find(grants: Grant[], text: string): Grant[] {
  const wanted = fold(text);
  const weight = (grant: Grant) => (grant.last_error ? 0 : grant.state === "removing" ? 1 : 2);
  return grants
    .filter((it) =>
      fold([it.resource, it.login_account, it.description, it.kind, it.session].join("\n")).includes(wanted),
    )
    .sort((a, b) => weight(a) - weight(b) || a.resource.localeCompare(b.resource) || (a.id < b.id ? -1 : 1));
}
