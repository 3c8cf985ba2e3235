// Fourth page: when. Now, or at a time in the person's own zone, which is named.
import { RadioField, TextField } from "../field";
import { Notice } from "../notice";
import { fromLocal, fullTime, toLocal, zoneAt } from "../time";
import { approvalsOf, hours, opensAt, rulesOf, startProposed } from "./rules";
import type { PageProperties } from "./wizard";

export function SchedulingPage({ activity, draft, faults, onChange }: PageProperties) {
  const rules = rulesOf(activity, draft);
  const opens = opensAt(rules);
  const schedules = [...new Set(rules.flatMap((way) => (way.schedule ? [hours(way.schedule)] : [])))];
  const waits = approvalsOf(rules) > 0;
  const at = fromLocal(draft.start);
  return (
    <div className="flex max-w-xl flex-col gap-4">
      <RadioField
        label="Start"
        name="start"
        value={draft.isLater ? "later" : "now"}
        onChoose={(value) =>
          onChange({
            isLater: value === "later",
            ...(value === "later" && !draft.start ? { start: startProposed(rules, new Date()) } : {}),
          })
        }
        options={[
          {
            value: "now",
            name: waits ? "As soon as it is approved" : "Now",
            meaning: opens
              ? `Not possible: the hours of the access policy begin ${fullTime(opens)}.`
              : "It is made ready at once.",
          },
          { value: "later", name: "At a time to come", meaning: "It is made ready then, not before." },
        ]}
      />
      {draft.isLater && (
        <TextField
          label="Date and time"
          type="datetime-local"
          aria-required
          min={toLocal(new Date())}
          hint={`In your zone: ${zoneAt(at ?? new Date())}.${at ? ` In UTC: ${utc(at)}.` : ""}`}
          error={faults.start_at}
          value={draft.start}
          onChange={(event) => onChange({ start: event.target.value })}
        />
      )}
      {!draft.isLater && faults.start_at && <Notice tone="bad">{faults.start_at}</Notice>}
      {schedules.length > 0 && (
        <div>
          <h4 className="font-medium">Hours of the access policy</h4>
          <ul>
            {schedules.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function utc(at: Date): string {
  return at.toISOString().slice(0, 16).replace("T", " ");
}
