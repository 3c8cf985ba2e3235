// First page: what to do. Only what the person's policies give.
import { useMemo, useState } from "react";
import { FieldError, SearchField } from "../field";
import { findActivities, resourcesOf } from "./rules";
import type { PageProperties } from "./wizard";

export function ActivityPage({ activities, draft, faults, onChange }: PageProperties) {
  const [text, setText] = useState("");
  const found = useMemo(() => findActivities(activities, text), [activities, text]);
  return (
    <>
      <SearchField
        label="Search activities"
        value={text}
        onValue={setText}
        className="w-full max-w-sm"
        onKeyDown={(event) => {
          // Enter takes the only one that is left; else it would submit the page.
          if (event.key !== "Enter") return;
          event.preventDefault();
          if (found.length === 1 && found[0])
            onChange({ activity: found[0].activity, resources: [], policy: "" });
        }}
      />
      <fieldset aria-describedby="activity-fault" className="min-h-0">
        <legend className="sr-only">Activity</legend>
        <div className="grid gap-2 wide:grid-cols-2">
          {found.map((it) => (
            <label
              key={it.activity}
              className={`flex gap-3 rounded-md border p-3 hover:bg-hover has-focus-visible:outline-2 has-focus-visible:outline-accent ${it.activity === draft.activity ? "border-accent bg-chosen" : "border-line bg-surface"}`}
            >
              <input
                type="radio"
                name="activity"
                className="mt-0.5 size-4 outline-none"
                checked={it.activity === draft.activity}
                onChange={() => onChange({ activity: it.activity, resources: [], policy: "" })}
              />
              <span className="min-w-0">
                <span className="block font-semibold break-words">{it.activity}</span>
                <span className="block text-quiet">
                  {it.actions.length > 0 ? it.actions.join(", ") : "log in, nothing more"}
                </span>
                <span className="block text-quiet">{amount(resourcesOf(it).length)}</span>
              </span>
            </label>
          ))}
        </div>
        {found.length === 0 && <p className="py-4 text-quiet">No activity matches.</p>}
      </fieldset>
      <FieldError id="activity-fault" error={faults.activity} />
    </>
  );
}

function amount(resources: number): string {
  return resources === 1 ? "on 1 resource" : `on ${resources} resources`;
}
