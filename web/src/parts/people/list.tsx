// The people as a table of virtual rows: one tab stop, moved through by arrows.
import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";
import type { Directory, StandingLock, User } from "../../api/view";
import { awayOf, type State, stateOf, stateText } from "./state";

const ROW_HEIGHT = 56;
const PAGE_ROWS = 10;
const OVERSCAN = 8;
const COLUMNS = ["Name", "Mail", "Roles", "State"];
const GRID =
  "grid items-center gap-x-4 px-4 wide:grid-cols-[minmax(0,2fr)_minmax(0,2fr)_minmax(0,2fr)_minmax(0,1.5fr)] narrow:grid-cols-[minmax(0,1fr)_auto]";
const LOOKS: Record<State, string> = {
  active: "text-quiet",
  away: "text-warn",
  disabled: "text-quiet",
  expired: "text-warn",
  locked: "text-bad",
};

type Properties = {
  users: User[];
  locks: StandingLock[];
  directories: Directory[];
  onOpen: (user: User) => void;
};

export function PeopleList({ users, locks, directories, onOpen }: Properties) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState("");
  const isWanted = useRef(false);
  const found = users.findIndex((user) => user.id === active);
  const activeIndex = Math.max(found, 0);
  const now = Date.now();
  const virtual = useVirtualizer({
    count: users.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => users[index]?.id ?? index,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
    scrollPaddingEnd: ROW_HEIGHT,
    // The row that the keyboard is at stays in the page, so the focus is never lost.
    rangeExtractor: (range) =>
      [...new Set([...defaultRangeExtractor(range), activeIndex])]
        .filter((index) => index < users.length)
        .sort((a, b) => a - b),
  });
  useLayoutEffect(() => {
    if (!isWanted.current) return;
    isWanted.current = false;
    scroller.current
      ?.querySelector<HTMLElement>(`[data-id="${CSS.escape(active)}"]`)
      ?.focus({ preventScroll: true });
    virtual.scrollToIndex(activeIndex, { align: "auto" });
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const to = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex - 1,
      Home: 0,
      End: users.length - 1,
      PageDown: activeIndex + PAGE_ROWS,
      PageUp: activeIndex - PAGE_ROWS,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    isWanted.current = true;
    setActive(users[Math.min(Math.max(to, 0), users.length - 1)]?.id ?? "");
  };
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-auto">
      <table role="grid" aria-label="People" aria-rowcount={users.length + 1} className="block w-full">
        <thead
          role="rowgroup"
          className="sticky top-0 z-10 block border-b border-line bg-sunken narrow:sr-only"
        >
          <tr role="row" aria-rowindex={1} className={`${GRID} h-8 text-left`}>
            {COLUMNS.map((name) => (
              <th key={name} role="columnheader" className="font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody
          role="rowgroup"
          className="relative block"
          style={{ height: virtual.getTotalSize() }}
          onKeyDown={onKeyDown}
        >
          {virtual.getVirtualItems().map(({ index, start }) => {
            const user = users[index];
            if (!user) return null;
            const away = awayOf(user, directories);
            const state = stateOf(user, locks, now, away);
            return (
              <tr
                key={user.id}
                role="row"
                aria-rowindex={index + 2}
                className={`${GRID} absolute inset-x-0 h-14 border-b border-line bg-surface hover:bg-hover`}
                style={{ transform: `translateY(${start}px)` }}
              >
                <th role="rowheader" scope="row" className="min-w-0 text-left font-normal">
                  <button
                    type="button"
                    data-id={user.id}
                    tabIndex={index === activeIndex ? 0 : -1}
                    onFocus={() => setActive(user.id)}
                    onClick={() => onOpen(user)}
                    className="block max-w-full truncate font-semibold text-accent underline"
                  >
                    {user.name}
                  </button>
                  <span className="block truncate text-quiet">{user.spec.full_name}</span>
                </th>
                <td role="gridcell" className="truncate narrow:hidden">
                  {user.spec.email}
                </td>
                <td role="gridcell" className="truncate narrow:hidden">
                  {user.spec.roles.join(", ")}
                </td>
                <td
                  role="gridcell"
                  className={`truncate ${LOOKS[state]} ${state === "active" ? "" : "font-medium"}`}
                >
                  {stateText(user, state, away)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
