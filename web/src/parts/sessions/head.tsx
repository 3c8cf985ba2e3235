// The header row: names that sort, edges that resize by dragging or by arrow keys, and the box that selects all.
import type { Header, Table } from "@tanstack/react-table";
import { ArrowDown, ArrowUp } from "lucide-react";
import type { KeyboardEvent, MouseEvent, TouchEvent } from "react";
import { flushSync } from "react-dom";
import type { Session } from "../../api/view";
import { columnName, type features, sortKeyOf } from "./columns";
import { nextSort, type Sort } from "./view";

type SessionHeader = Header<typeof features, Session>;
type SessionTable = Table<typeof features, Session>;

const KEY_STEP = 16;

type Properties = {
  table: SessionTable;
  sort: Sort;
  onSort: (sort: Sort) => void;
  pins: Record<string, number>;
};

export function Head({ table, sort, onSort, pins }: Properties) {
  return (
    <thead role="rowgroup" className="sheet-head sticky top-0 z-20 block">
      {table.getHeaderGroups().map((group) => (
        <tr
          key={group.id}
          role="row"
          aria-rowindex={1}
          className="sheet-row h-8 border-b border-line bg-sunken"
        >
          {group.headers.map((header, index) => (
            <th
              key={header.id}
              role="columnheader"
              aria-colindex={index + 1}
              aria-sort={ariaSort(header.id, sort)}
              data-column={header.id}
              className={`h-full min-w-0 font-semibold text-quiet ${pinClass(header.id)}`}
              style={pinStyle(header.id, pins)}
            >
              <Label header={header} table={table} sort={sort} onSort={onSort} />
              {header.column.getCanResize() && <Edge header={header} table={table} />}
            </th>
          ))}
        </tr>
      ))}
    </thead>
  );
}

/** Columns that stay in sight when the table is scrolled sideways: what a row is, and what can be done with it. */
export function pinClass(id: string): string {
  if (id === "select" || id === "expand" || id === "status") return "sheet-pinned-left";
  if (id === "actions") return "sheet-pinned-right";
  return "relative";
}

/** How far from the left edge a pinned column stays. */
export function pinStyle(id: string, pins: Record<string, number>) {
  return { "--pin": `${pins[id] ?? 0}px` } as React.CSSProperties;
}

function ariaSort(id: string, sort: Sort) {
  if (!sortKeyOf(id)) return undefined;
  if (sort.key !== id) return "none";
  return sort.isDescending ? "descending" : "ascending";
}

function Label({ header, table, sort, onSort }: Omit<Properties, "pins"> & { header: SessionHeader }) {
  const key = sortKeyOf(header.id);
  if (header.id === "select") return <SelectAll table={table} />;
  if (header.id === "expand") return <span className="sr-only">Details</span>;
  if (header.id === "actions") return <span className="sr-only">Actions</span>;
  if (!key) return <span className="flex size-full items-center truncate px-2">{columnName(header.id)}</span>;
  const Arrow = sort.isDescending ? ArrowDown : ArrowUp;
  return (
    <button
      type="button"
      onClick={() => onSort(nextSort(sort, key))}
      className={`flex size-full items-center gap-1 px-2 text-left hover:text-ink ${sort.key === key ? "text-ink" : ""}`}
    >
      <span className="truncate">{columnName(header.id)}</span>
      {sort.key === key && <Arrow size={13} className="shrink-0" aria-hidden="true" />}
    </button>
  );
}

function SelectAll({ table }: { table: SessionTable }) {
  const isAll = table.getIsAllRowsSelected();
  return (
    <label className="flex size-full items-center justify-center">
      <input
        type="checkbox"
        className="size-4"
        aria-label="Select all visible sessions"
        checked={isAll}
        ref={(box) => {
          if (box) box.indeterminate = !isAll && table.getIsSomeRowsSelected();
        }}
        onChange={() => table.toggleAllRowsSelected(!isAll)}
      />
    </label>
  );
}

function Edge({ header, table }: { header: SessionHeader; table: SessionTable }) {
  const { column } = header;

  /** Columns grow to fill the width until somebody sizes one: then each keeps the width that it has on the screen. */
  function settle(edge: Element) {
    const cells = edge.closest("tr")?.querySelectorAll<HTMLElement>("[data-column]") ?? [];
    const widths = Object.fromEntries(
      [...cells]
        .filter((cell) => columnName(cell.dataset.column ?? "") !== "")
        .map((cell) => [cell.dataset.column ?? "", Math.round(cell.getBoundingClientRect().width)]),
    );
    flushSync(() => table.setColumnSizing(widths));
  }

  function drag(event: MouseEvent | TouchEvent) {
    settle(event.currentTarget);
    header.getResizeHandler()(event);
  }

  function step(event: KeyboardEvent) {
    const by = { ArrowLeft: -KEY_STEP, ArrowRight: KEY_STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    settle(event.currentTarget);
    const width = Math.min(800, Math.max(80, column.getSize() + by));
    table.setColumnSizing((widths) => ({ ...widths, [column.id]: width }));
  }

  return (
    <div
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={`Width of ${columnName(column.id)}`}
      aria-valuenow={column.getSize()}
      aria-valuemin={80}
      aria-valuemax={800}
      onMouseDown={drag}
      onTouchStart={drag}
      onKeyDown={step}
      className={`absolute inset-y-0 right-0 z-10 w-2 cursor-col-resize touch-none select-none after:absolute after:inset-y-1.5 after:right-0 after:w-px after:bg-edge hover:after:w-0.5 hover:after:bg-accent ${column.getIsResizing() ? "after:w-0.5 after:bg-accent" : ""}`}
    />
  );
}
