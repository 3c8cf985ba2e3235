// After a request for several resources: what becomes of each session, live.
import { useQuery } from "@tanstack/react-query";
import { me as meQuery, seesAll, sessionList } from "../../api/queries";
import type { SessionChange } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { hint } from "../sessions/hint";
import { StatusMark } from "../status";
import { useSecond } from "../time";

export function Requested({ sessions, onClose }: { sessions: SessionChange[]; onClose: () => void }) {
  const { data: me } = useQuery(meQuery);
  const scope = me && seesAll(me) ? "all" : "mine";
  const active = useQuery({ ...sessionList("active", scope), enabled: false });
  const scheduled = useQuery({ ...sessionList("scheduled", scope), enabled: false });
  const now = useSecond();
  return (
    <Dialog
      size="large"
      title={`${sessions.length} sessions are requested`}
      description="Each goes its own way. They go on when this window is closed."
      onClose={onClose}
      footer={<Button look="primary" label="Done" onClick={onClose} />}
    >
      <ul
        aria-label="What becomes of each"
        aria-live="polite"
        className="divide-y divide-line rounded-md border border-line bg-surface"
      >
        {sessions.map((asked) => {
          const known = active.data?.get(asked.id) ?? scheduled.data?.get(asked.id);
          const session = known ?? { ...asked, grants: asked.grants ?? [], approvals: asked.approvals ?? [] };
          return (
            <li
              key={asked.id}
              className="grid grid-cols-[10rem_12rem_1fr] gap-x-4 px-3 py-2 narrow:grid-cols-1"
            >
              <span className="font-medium break-all">{asked.resource}</span>
              <StatusMark status={session.status} />
              {/* Counting down is not worth being said aloud each second. */}
              <span aria-live="off" className="min-w-0 break-words text-quiet">
                {hint(session, now, me?.user ?? "")}
              </span>
            </li>
          );
        })}
      </ul>
    </Dialog>
  );
}
