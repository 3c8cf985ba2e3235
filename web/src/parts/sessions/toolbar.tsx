// Above the table: what can be done with the selection, and what narrows the list.
import { Check, Columns3, ListFilter, OctagonX, Plus, RefreshCw, ScrollText, X } from "lucide-react";
import type { RefObject } from "react";
import { canDecide, type ListName } from "../../api/lists";
import type { Session, Status } from "../../api/view";
import { Button } from "../button";
import { SearchField } from "../field";
import { Menu, MenuCheck, MenuItem, MenuLine } from "../menu";
import { columnName, HIDEABLE } from "./columns";
import { usePage } from "./context";
import type { Layout } from "./layout";
import { isNarrowed, SORT_KEYS, type Sort, sortText, statusName, type View } from "./view";

type ActionsProperties = {
  list: ListName;
  selected: Session[];
  onRefresh: () => void;
  layout: Layout;
  hidden: string[];
};

/** The buttons. */
export function Actions({ list, selected, onRefresh, layout, hidden }: ActionsProperties) {
  const { me, onOpen } = usePage();
  const [first] = selected;
  const canEnd = selected.some((session) => session.actions.end);
  const cannotDecide = !selected.some((session) => canDecide(session, me.user));
  return (
    <div
      role="toolbar"
      aria-label="Session actions"
      className="flex flex-wrap items-center gap-2 narrow:gap-1"
    >
      {list === "approvals" ? (
        <>
          <Button
            look="primary"
            label="Approve"
            icon={Check}
            disabled={cannotDecide}
            onClick={() => onOpen({ kind: "approve", sessions: selected })}
          />
          <Button
            label="Deny"
            icon={X}
            disabled={cannotDecide}
            onClick={() => onOpen({ kind: "deny", sessions: selected })}
          />
        </>
      ) : (
        list !== "history" && (
          <Button
            look="primary"
            label="Create Session"
            icon={Plus}
            onClick={() => onOpen({ kind: "create" })}
            aria-keyshortcuts="n"
          />
        )
      )}
      {list !== "history" && (
        <Button
          isShort
          label="End Session"
          icon={OctagonX}
          disabled={!canEnd}
          onClick={() => onOpen({ kind: "end", sessions: selected })}
        />
      )}
      <Button
        isShort
        label="View Logs"
        icon={ScrollText}
        disabled={selected.length !== 1}
        onClick={() => first && onOpen({ kind: "log", session: first })}
      />
      <Button isShort label="Refresh" icon={RefreshCw} onClick={onRefresh} />
      <span className="flex-1" />
      <ColumnsMenu layout={layout} hidden={hidden} />
    </div>
  );
}

type FilterProperties = {
  view: View;
  onView: (view: View) => void;
  /** Statuses to filter by. */
  statuses: Status[];
  /** How many sessions have each status, whatever the filters hide; unknown where only a part of them is at hand. */
  counts: ReadonlyMap<Status, number> | undefined;
  activities: string[];
  search: RefObject<HTMLInputElement | null>;
  /** Whether the list is asked by day. */
  hasDays: boolean;
};

/** Search, resource, status, activity, and the days. */
export function Filters({ view, onView, statuses, counts, activities, search, hasDays }: FilterProperties) {
  const toggled = <T,>(list: T[], item: T) =>
    list.includes(item) ? list.filter((it) => it !== item) : [...list, item];
  return (
    <search className="flex flex-wrap items-center gap-2">
      <SearchField
        ref={search}
        label="Search"
        aria-keyshortcuts="/"
        className="w-52 narrow:min-w-32 narrow:flex-1"
        value={view.q}
        onValue={(q) => onView({ ...view, q })}
      />
      <SearchField
        label="Resource Name"
        className="w-44 narrow:min-w-32 narrow:flex-1"
        value={view.resource}
        onValue={(resource) => onView({ ...view, resource })}
      />
      {statuses.length > 0 && (
        <fieldset className="flex min-w-0 flex-wrap items-center gap-1 narrow:flex-nowrap narrow:overflow-x-auto narrow:py-1">
          <legend className="sr-only">Status</legend>
          {statuses.map((status) => (
            <Chip
              key={status}
              name={statusName(status)}
              count={counts && (counts.get(status) ?? 0)}
              isOn={view.statuses.includes(status)}
              onToggle={() => onView({ ...view, statuses: toggled(view.statuses, status) })}
            />
          ))}
        </fieldset>
      )}
      {activities.length > 0 && (
        <Menu
          trigger={
            <Button
              icon={ListFilter}
              label={view.activities.length ? `Activity: ${view.activities.length}` : "Activity"}
            />
          }
        >
          {activities.map((activity) => (
            <MenuCheck
              key={activity}
              isOn={view.activities.includes(activity)}
              onToggle={() => onView({ ...view, activities: toggled(view.activities, activity) })}
            >
              {activity}
            </MenuCheck>
          ))}
        </Menu>
      )}
      {hasDays && (
        <fieldset className="flex items-center gap-1.5 narrow:w-full">
          <legend className="sr-only">Requested</legend>
          <DayField
            label="From"
            value={view.from}
            max={view.until}
            onValue={(from) => onView({ ...view, from })}
          />
          <DayField
            label="Until"
            value={view.until}
            min={view.from}
            onValue={(until) => onView({ ...view, until })}
          />
        </fieldset>
      )}
      {isNarrowed(view) && (
        <Button
          look="bare"
          icon={X}
          label="Clear filters"
          onClick={() =>
            onView({ ...view, q: "", resource: "", statuses: [], activities: [], from: "", until: "" })
          }
        />
      )}
      <SortChoice sort={view.sort} onSort={(sort) => onView({ ...view, sort })} />
    </search>
  );
}

type DayProperties = {
  label: string;
  value: string;
  min?: string;
  max?: string;
  onValue: (day: string) => void;
};

function DayField({ label, value, min, max, onValue }: DayProperties) {
  return (
    <label className="flex items-center gap-1.5 text-quiet narrow:min-w-0 narrow:flex-1">
      {label}
      <input
        type="date"
        value={value}
        min={min || undefined}
        max={max || undefined}
        onChange={(event) => onValue(event.target.value)}
        className="h-8 rounded-md border border-edge bg-surface px-2 text-ink narrow:w-full narrow:min-w-0 narrow:px-1"
      />
    </label>
  );
}

function Chip({
  name,
  count,
  isOn,
  onToggle,
}: {
  name: string;
  count: number | undefined;
  isOn: boolean;
  onToggle: () => void;
}) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onToggle}
      className={`inline-flex h-7 shrink-0 items-center gap-1.5 rounded-full border px-2.5 whitespace-nowrap ${isOn ? "border-accent bg-chosen font-semibold text-ink" : "border-line text-quiet hover:bg-hover hover:text-ink"}`}
    >
      {name}
      {count !== undefined && <span className="tabular-nums">{count}</span>}
    </button>
  );
}

function ColumnsMenu({ layout, hidden }: { layout: Layout; hidden: string[] }) {
  return (
    <Menu trigger={<Button isShort look="bare" icon={Columns3} label="Columns" />}>
      {HIDEABLE.filter((id) => !hidden.includes(id)).map((id) => (
        <MenuCheck key={id} isOn={layout.shown[id] !== false} onToggle={() => layout.toggle(id)}>
          {columnName(id)}
        </MenuCheck>
      ))}
      <MenuLine />
      <MenuItem onSelect={layout.reset}>Reset columns and widths</MenuItem>
    </Menu>
  );
}

/** On a narrow screen there is no header to click. */
function SortChoice({ sort, onSort }: { sort: Sort; onSort: (sort: Sort) => void }) {
  return (
    <label className="hidden narrow:block">
      <span className="sr-only">Sort by</span>
      <select
        className="h-8 rounded-md border border-edge bg-surface px-1"
        value={sortText(sort)}
        onChange={(event) => {
          const key = SORT_KEYS.find((it) => it === event.target.value.replace("-", ""));
          if (key) onSort({ key, isDescending: event.target.value.startsWith("-") });
        }}
      >
        {SORT_KEYS.flatMap((key) => [
          <option key={key} value={key}>{`${columnName(key)} ↑`}</option>,
          <option key={`-${key}`} value={`-${key}`}>{`${columnName(key)} ↓`}</option>,
        ])}
      </select>
    </label>
  );
}
