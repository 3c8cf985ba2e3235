// Last page: everything once more, before it is sent.
import type { ReactNode } from "react";
import { Notice } from "../notice";
import { fromLocal, fullTime, period } from "../time";
import { approvalNeed } from "./resources-page";
import { approvalsOf, customFields, labelOf, policyOf, rulesOf } from "./rules";
import type { PageProperties } from "./wizard";

export function ReviewPage({ activity, draft }: PageProperties) {
  const rules = rulesOf(activity, draft);
  const policies = [
    ...new Set(policyOf(activity, draft) ? [policyOf(activity, draft)] : rules.map((way) => way.policy)),
  ];
  const needed = approvalsOf(rules);
  const start = draft.isLater ? fromLocal(draft.start) : undefined;
  const extensions = rules.flatMap((way) => way.extension ?? []);
  const count = draft.resources.length;
  const durations = [...new Set(rules.map((way) => period(way.max_duration)))];
  return (
    <>
      <dl className="grid max-w-2xl grid-cols-[10rem_1fr] gap-x-4 gap-y-2 narrow:grid-cols-1 narrow:gap-y-0">
        <Entry name="Activity">{activity?.activity}</Entry>
        <Entry name="What it gives">{activity?.actions.join(", ") || "log in, nothing more"}</Entry>
        <Entry name={draft.resources.length === 1 ? "Resource" : `${draft.resources.length} resources`}>
          {draft.resources.join(", ")}
        </Entry>
        <Entry name="Access policy">{policies.join(", ")}</Entry>
        <Entry name="Start">
          {start ? fullTime(start.toISOString()) : needed > 0 ? "as soon as it is approved" : "now"}
        </Entry>
        <Entry name="For">
          at most {durations.join(" or ")}, from when it is ready
          {extensions.length > 0 && "; can be extended"}
        </Entry>
        <Entry name="Approval">{needed > 0 ? approvalNeed(needed) : "not needed"}</Entry>
        <Entry name="Notes">{draft.notes.trim() || "none"}</Entry>
        <Entry name="Ticket number">{draft.ticket.trim() || "none"}</Entry>
        {customFields(rules).map((field) => (
          <Entry key={field.name} name={labelOf(field)}>
            {shownValue(field.type, draft.custom[field.name])}
          </Entry>
        ))}
      </dl>
      {needed > 0 && (
        <Notice tone="warn">
          Somebody has to approve this: it waits under Approvals until{" "}
          {needed > 1 ? `${needed} people` : "one"} of its approvers said yes.
        </Notice>
      )}
      <p className="text-quiet">
        {outcome(count, needed > 0, start !== undefined)}
        {count === 1 ? " It ends" : " Each ends"} by itself, and everything that it placed is taken away.
      </p>
    </>
  );
}

function shownValue(type: string, value: string | undefined): string {
  if (!value?.trim()) return "none";
  if (type === "boolean") return value === "true" ? "yes" : "no";
  return value;
}

function outcome(count: number, waits: boolean, isLater: boolean): string {
  const what = count === 1 ? "the session" : `${count} sessions`;
  if (waits) return `Finish asks for ${what}.`;
  return isLater ? `Finish schedules ${what}.` : `Finish starts ${what} now.`;
}

function Entry({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="contents">
      <dt className="text-quiet">{name}</dt>
      <dd className="break-words whitespace-pre-wrap narrow:mb-2">{children}</dd>
    </div>
  );
}
