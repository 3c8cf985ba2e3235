// Second page: where. A table to select from, the selection beside it, and the policy when several fit.
import { X } from "lucide-react";
import { useId, useMemo, useState } from "react";
import type { Way } from "../../api/view";
import { IconButton } from "../button";
import { FieldError, SearchField } from "../field";
import { fold } from "../sessions/view";
import { period } from "../time";
import { choiceOf, hours, policyOf, resourcesOf } from "./rules";
import type { PageProperties } from "./wizard";

/** Rows that are drawn at most; the search finds the others. */
const ROWS_MAX = 200;

export function ResourcesPage({ activity, draft, faults, onChange }: PageProperties) {
  const [text, setText] = useState("");
  const idBase = useId();
  const all = useMemo(() => resourcesOf(activity), [activity]);
  const found = all.filter((it) => fold(it.resource).includes(fold(text)));
  const shown = found.slice(0, ROWS_MAX);
  const isAll = shown.length > 0 && shown.every((it) => draft.resources.includes(it.resource));
  const select = (names: string[], isOn: boolean) => {
    const others = draft.resources.filter((name) => !names.includes(name));
    onChange({ resources: isOn ? [...others, ...names] : others });
  };
  return (
    <>
      <SearchField
        label="Search resources"
        value={text}
        onValue={setText}
        className="w-full max-w-sm"
        onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
      />
      <div className="rounded-md border border-line bg-surface">
        <table className="w-full text-left">
          <caption className="sr-only">Resources for {activity?.activity}</caption>
          <thead className="border-b border-line text-quiet">
            <tr className="*:px-3 *:py-1.5 *:font-semibold">
              <th scope="col" className="w-8">
                <input
                  type="checkbox"
                  className="relative z-10 size-4 align-middle"
                  aria-label="Select all resources shown"
                  checked={isAll}
                  onChange={() =>
                    select(
                      shown.map((it) => it.resource),
                      !isAll,
                    )
                  }
                />
              </th>
              <th scope="col">Resource</th>
              <th scope="col">Access policy</th>
              <th scope="col">At most</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ resource, ways }, index) => (
              <tr
                key={resource}
                className="relative border-line not-last:border-b hover:bg-hover *:px-3 *:py-1.5"
              >
                <td>
                  <input
                    type="checkbox"
                    id={`${idBase}-${index}`}
                    className="relative z-10 size-4 align-middle"
                    checked={draft.resources.includes(resource)}
                    onChange={(event) => select([resource], event.target.checked)}
                  />
                </td>
                <td className="font-medium break-all">
                  {/* The label lies over the whole row, so that a click anywhere in it selects. */}
                  <label
                    htmlFor={`${idBase}-${index}`}
                    className="cursor-pointer after:absolute after:inset-0"
                  >
                    {resource}
                  </label>
                </td>
                <td className="text-quiet">{ways.map((way) => way.policy).join(", ")}</td>
                <td className="text-quiet whitespace-nowrap">
                  {[...new Set(ways.map((way) => period(way.max_duration)))].join(" or ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p className="p-3 text-quiet">No resource matches.</p>}
        {found.length > shown.length && (
          <p className="border-t border-line p-3 text-quiet">
            {shown.length} of {found.length} are shown: search to find the others.
          </p>
        )}
      </div>
      <Selection resources={draft.resources} onRemove={(name) => select([name], false)} />
      <FieldError error={faults.resources} />
      <PolicyChoice activity={activity} draft={draft} faults={faults} onChange={onChange} />
    </>
  );
}

function Selection({ resources, onRemove }: { resources: string[]; onRemove: (name: string) => void }) {
  return (
    <section aria-label="Selected resources">
      <p className="font-medium" role="status">
        {resources.length === 0 ? "Nothing selected yet." : `${resources.length} selected`}
      </p>
      <ul className="mt-1 flex flex-wrap gap-1.5">
        {resources.map((name) => (
          <li key={name} className="flex items-center rounded-md border border-line bg-surface pl-2">
            {name}
            <IconButton label={`Remove ${name}`} icon={X} onClick={() => onRemove(name)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function PolicyChoice({ activity, draft, faults, onChange }: Omit<PageProperties, "activities">) {
  const choice = choiceOf(activity, draft.resources);
  const chosen = policyOf(activity, draft);
  if (choice.kind !== "choose") return <FieldError error={faults.policy} />;
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 font-medium">Access policy</legend>
      {choice.policies.map((way) => (
        <label
          key={way.policy}
          className={`flex gap-3 rounded-md border p-3 hover:bg-hover ${way.policy === chosen ? "border-accent bg-chosen" : "border-line bg-surface"}`}
        >
          <input
            type="radio"
            name="policy"
            className="mt-0.5 size-4"
            checked={way.policy === chosen}
            onChange={() => onChange({ policy: way.policy })}
          />
          <span>
            <span className="block font-semibold">{way.policy}</span>
            <span className="block text-quiet">{terms(way)}</span>
          </span>
        </label>
      ))}
      <FieldError error={faults.policy} />
    </fieldset>
  );
}

/** What a policy's connection profile means for the person. */
export function terms(way: Way): string {
  return [
    `at most ${period(way.max_duration)}`,
    way.require_notes ? "notes required" : "notes optional",
    way.require_ticket ? "ticket number required" : "ticket number optional",
    way.requires_approval && approvalNeed(way.approvals_needed),
    way.extension && `can be extended by ${period(way.extension.by)}, ${times(way.extension.limit)}`,
    way.schedule && hours(way.schedule),
    `profile ${way.connection_profile}`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** Who has to say yes, in words. */
export function approvalNeed(needed: number): string {
  return needed > 1 ? `${needed} people have to approve it` : "somebody has to approve it";
}

function times(limit: number): string {
  return limit === 1 ? "once" : `${limit} times`;
}
