// Grants as a table: what was placed where, how it stands, and what proves its removal.
import type { Grant, GrantKind, GrantState } from "../../api/view";
import { TimeCell } from "../sessions/cells";
import { fullTime } from "../time";

const KINDS: Record<GrantKind, string> = {
  account: "Login account",
  authorized_key: "Gateway key",
  group_membership: "Group membership",
  sudo_rule: "Sudo rule",
};

const STATES: Record<GrantState, { name: string; look: string }> = {
  planned: { name: "Planned", look: "text-quiet" },
  placing: { name: "Being placed", look: "text-busy" },
  placed: { name: "Placed", look: "text-good" },
  removing: { name: "Being removed", look: "text-warn" },
  removed: { name: "Removed", look: "text-quiet" },
  preexisting: { name: "Was there before", look: "text-quiet" },
};

/** A grant in a few words. */
export function grantName(grant: Grant): string {
  return grant.description || KINDS[grant.kind];
}

export type GrantColumn = "place" | "kind" | "state" | "evidence";

type Properties = { grants: Grant[]; caption: string; columns: GrantColumn[] };

export function GrantTable({ grants, caption, columns }: Properties) {
  if (grants.length === 0) return <p className="text-quiet">No privilege has been placed yet.</p>;
  const has = (column: GrantColumn) => columns.includes(column);
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
            {has("place") && <th scope="col">Host</th>}
            {has("place") && <th scope="col">Login Account</th>}
            <th scope="col">Privilege</th>
            <th scope="col">State</th>
            <th scope="col">Placed</th>
            {has("evidence") && <th scope="col">Removed</th>}
            <th scope="col">Expires on the host</th>
            <th scope="col">{has("evidence") ? "Evidence" : "Attempts"}</th>
          </tr>
        </thead>
        <tbody>
          {grants.map((grant) => (
            <tr key={grant.id} className="border-line not-last:border-b *:px-3 *:py-1.5 *:align-top">
              {has("place") && <td>{grant.resource}</td>}
              {has("place") && <td className="font-mono text-xs">{grant.login_account}</td>}
              <td>
                <span className="font-medium">{KINDS[grant.kind]}</span>
                {grant.description && <span className="block text-quiet">{grant.description}</span>}
              </td>
              <td className={`font-medium whitespace-nowrap ${STATES[grant.state].look}`}>
                {STATES[grant.state].name}
                <Trouble grant={grant} />
              </td>
              <td>
                <TimeCell at={grant.placed_at} />
              </td>
              {has("evidence") && (
                <td>
                  <TimeCell at={grant.removed_at} />
                </td>
              )}
              <td>
                <TimeCell at={grant.expires_at} />
              </td>
              <td>
                {has("evidence") ? (
                  <Proof grant={grant} />
                ) : (
                  <span className="tabular-nums">{grant.attempts}</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What went wrong last, if it is not done yet. */
function Trouble({ grant }: { grant: Grant }) {
  if (!grant.last_error) return null;
  return (
    <span className="block min-w-40 max-w-sm font-normal break-words whitespace-normal text-bad">
      {grant.last_error}
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
