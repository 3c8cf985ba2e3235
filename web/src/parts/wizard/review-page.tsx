// Last page: everything once more, before it is sent.
import type { ReactNode } from "react";
import { period } from "../time";
import { policyOf, rulesOf } from "./rules";
import type { PageProperties } from "./wizard";

export function ReviewPage({ activity, draft }: PageProperties) {
  const rules = rulesOf(activity, draft);
  const policies = [
    ...new Set(policyOf(activity, draft) ? [policyOf(activity, draft)] : rules.map((way) => way.policy)),
  ];
  const durations = [...new Set(rules.map((way) => period(way.max_duration)))];
  return (
    <>
      <dl className="grid max-w-2xl grid-cols-[10rem_1fr] gap-x-4 gap-y-2 narrow:grid-cols-1">
        <Entry name="Activity">{activity?.activity}</Entry>
        <Entry name="What it gives">{activity?.actions.join(", ") || "log in, nothing more"}</Entry>
        <Entry name={draft.resources.length === 1 ? "Resource" : `${draft.resources.length} resources`}>
          {draft.resources.join(", ")}
        </Entry>
        <Entry name="Access policy">{policies.join(", ")}</Entry>
        <Entry name="For">at most {durations.join(" or ")}, from when it is ready</Entry>
        <Entry name="Notes">{draft.notes.trim() || "none"}</Entry>
        <Entry name="Ticket number">{draft.ticket.trim() || "none"}</Entry>
      </dl>
      <p className="text-quiet">
        {draft.resources.length === 1
          ? "Finish starts the session now. It ends by itself, and everything that it placed is taken away."
          : `Finish starts ${draft.resources.length} sessions now. Each ends by itself, and everything that it placed is taken away.`}
      </p>
    </>
  );
}

function Entry({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="contents">
      <dt className="text-quiet">{name}</dt>
      <dd className="break-words whitespace-pre-wrap narrow:mb-2">{children}</dd>
    </div>
  );
}
