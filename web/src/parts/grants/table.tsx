// Grants as a table: what was placed where, how it stands, and what proves its removal.
import { useMutation } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { body, client } from "../../api/client";
import { Problem } from "../../api/problem";
import type { Grant, GrantState } from "../../api/view";
import { Button } from "../button";
import { useSay } from "../notice";
import { TimeCell } from "../sessions/cells";
import { usePage } from "../sessions/context";
import { fullTime } from "../time";

const STATES: Record<GrantState, { name: string; look: string }> = {
  planned: { name: "Planned", look: "text-quiet" },
  placing: { name: "Being placed", look: "text-busy" },
  placed: { name: "Placed", look: "text-good" },
  removing: { name: "Being removed", look: "text-warn" },
  removed: { name: "Removed", look: "text-quiet" },
  preexisting: { name: "Was there before", look: "text-quiet" },
};

/** What failed before it was begun has nothing to prove. */
function stateOf(grant: Grant): { name: string; look: string } {
  const isUntouched = grant.state === "removed" && !grant.placed_at && !grant.evidence;
  return isUntouched ? { name: "Never placed", look: "text-quiet" } : STATES[grant.state];
}

type Properties = {
  grants: Grant[];
  caption: string;
  /** What it is a list of: all of one session, with its proofs, or what is out anywhere, with its places. */
  of: "session" | "ledger";
  /** Whether the person may have removals tried now. */
  canTry?: boolean;
  /** Sessions whose clean-up has been failing for long. */
  stalled?: ReadonlySet<string>;
};

const NOTHING: ReadonlySet<string> = new Set();

export function GrantTable({ grants, caption, of, canTry = false, stalled = NOTHING }: Properties) {
  if (grants.length === 0) return <p className="text-quiet">No privilege has been placed yet.</p>;
  const isLedger = of === "ledger";
  return (
    <section
      className="overflow-x-auto rounded-md border border-line bg-surface"
      aria-label={caption}
      tabIndex={0}
    >
      <table className="w-full text-left">
        <caption className="sr-only">{caption}</caption>
        <thead className="border-b border-line text-quiet">
          <tr className="*:px-3 *:py-1.5 *:font-semibold *:whitespace-nowrap">
            {isLedger && <th scope="col">Host, Login Account</th>}
            <th scope="col">Privilege</th>
            <th scope="col">State</th>
            <th scope="col">Placed</th>
            {!isLedger && <th scope="col">Removed</th>}
            <th scope="col">Expires on the host</th>
            <th scope="col">{isLedger ? "Failed" : "Evidence"}</th>
            {isLedger && (
              <th scope="col">
                <span className="sr-only">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {grants.map((grant) => (
            <tr key={grant.id} className="border-line not-last:border-b *:px-3 *:py-1.5 *:align-top">
              {isLedger && (
                <td className="min-w-32">
                  <span className="block">{grant.resource}</span>
                  <span className="block font-mono text-xs">{grant.login_account}</span>
                </td>
              )}
              <td className="min-w-40">
                <span className="font-medium first-letter:uppercase inline-block">{grant.description}</span>
                {isLedger && <span className="block text-quiet">{grant.kind.replaceAll("_", " ")}</span>}
              </td>
              <td className={`font-medium whitespace-nowrap ${stateOf(grant).look}`}>
                {stateOf(grant).name}
                {grant.state === "removing" && stalled.has(grant.session) && (
                  <span className="block font-semibold text-bad">Stalled</span>
                )}
                <Trouble grant={grant} />
              </td>
              <td>
                <TimeCell at={grant.placed_at} />
              </td>
              {!isLedger && (
                <td>
                  <TimeCell at={stateOf(grant) === STATES.removed ? grant.removed_at : null} />
                </td>
              )}
              <td>
                <TimeCell at={grant.expires_at} />
              </td>
              <td>{isLedger ? <Attempts count={grant.attempts} /> : <Proof grant={grant} />}</td>
              {isLedger && (
                <td>
                  <LedgerMoves grant={grant} canTry={canTry} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The way to its session, and to another try before its time. */
function LedgerMoves({ grant, canTry }: { grant: Grant; canTry: boolean }) {
  const { onSession } = usePage();
  const say = useSay();
  const retry = useMutation({
    mutationFn: () =>
      body(client.POST("/api/v1/grants/{id}/try-now", { params: { path: { id: grant.id } } })),
    onSuccess: () => say(`${grant.description} on ${grant.resource} is tried now.`),
  });
  return (
    <div className="flex flex-col items-end gap-1">
      <div className="flex flex-col items-end gap-1">
        {canTry && grant.state === "removing" && (
          <Button
            label="Try now"
            aria-label={`Try now to remove ${grant.description} from ${grant.resource}`}
            icon={RotateCw}
            disabled={retry.isPending}
            onClick={() => retry.mutate()}
          />
        )}
        <Button
          look="bare"
          label="Session"
          aria-label={`Session of ${grant.description} on ${grant.resource}`}
          onClick={() => onSession(grant.session)}
        />
      </div>
      {retry.error && (
        <p role="alert" className="max-w-xs text-bad">
          {Problem.from(retry.error).message}
        </p>
      )}
    </div>
  );
}

/** What went wrong last, if it is not done yet. */
function Trouble({ grant }: { grant: Grant }) {
  if (!grant.last_error) return null;
  return (
    <span className="block min-w-40 max-w-64 font-normal break-words whitespace-normal text-bad">
      {grant.last_error}
    </span>
  );
}

function Attempts({ count }: { count: number }) {
  return (
    <span className="tabular-nums whitespace-nowrap">
      {count === 1 ? "once" : count === 0 ? "never" : `${count} times`}
    </span>
  );
}

function Proof({ grant }: { grant: Grant }) {
  const { evidence } = grant;
  if (!evidence) return <span className="text-quiet">—</span>;
  return (
    <div className="max-w-md break-words" title={`Read back ${fullTime(evidence.read_at)}`}>
      {evidence.read_back}
      {evidence.self_reported && (
        <span className="block text-quiet">Reported by a host on which the person had root.</span>
      )}
      {evidence.findings.map((finding) => (
        <span key={finding} className="block text-warn">
          {finding}
        </span>
      ))}
    </div>
  );
}
