// One session's row, and below it, when it is open, its details.
import type { Row } from "@tanstack/react-table";
import { FlexRender } from "@tanstack/react-table";
import { ChevronDown, ChevronRight } from "lucide-react";
import { type CSSProperties, memo } from "react";
import type { Session } from "../../api/view";
import { columnName, type features } from "./columns";
import { ActiveRow } from "./context";
import { Detail } from "./detail";
import { pinClass, pinStyle } from "./head";
import type { Tracks } from "./tracks";

export type SessionRow = Row<typeof features, Session>;

/** Where the virtual list wants the row, and how it measures it. */
export type Place = { index: number; start: number; measure: (element: Element | null) => void };

type Properties = Place & {
  row: SessionRow;
  /** The table's columns as the row has to draw them; another one when any of them changed. */
  tracks: Tracks;
  isActive: boolean;
  isOpen: boolean;
  isSelected: boolean;
  onToggle: (id: string) => void;
};

/** Drawn anew only when something about it changed: rows are many, and scrolling and events come often. */
export const SheetRow = memo(PlainRow, (before, after) =>
  (Object.keys(after) as (keyof Properties)[]).every((key) =>
    // The table makes new row objects whenever any session changes; what they show is the session.
    key === "row" ? before.row.original === after.row.original : before[key] === after[key],
  ),
);

function PlainRow({
  row,
  index,
  start,
  measure,
  tracks,
  isActive,
  isOpen,
  isSelected,
  onToggle,
}: Properties) {
  return (
    <ActiveRow value={isActive}>
      <tr
        ref={measure}
        data-index={index}
        data-id={row.id}
        role="row"
        aria-rowindex={index + 2}
        aria-selected={isSelected}
        tabIndex={isActive ? 0 : -1}
        style={placed(start)}
        className={`sheet-row sheet-card min-h-10 border-b border-line hover:bg-hover focus-visible:-outline-offset-2 ${isSelected ? "bg-chosen" : "bg-surface"}`}
      >
        {row.getVisibleCells().map((cell, column) => (
          <td
            key={cell.id}
            role="gridcell"
            aria-colindex={column + 1}
            data-label={
              columnName(cell.column.id) && cell.column.id !== "status"
                ? columnName(cell.column.id)
                : undefined
            }
            className={`flex min-h-10 min-w-0 items-center px-2 ${pinClass(cell.column.id)} ${cell.column.id === "actions" ? "sheet-actions justify-end" : ""}`}
            style={pinStyle(cell.column.id, tracks.pins)}
          >
            <Content
              cell={cell}
              row={row}
              isActive={isActive}
              isOpen={isOpen}
              isSelected={isSelected}
              onToggle={onToggle}
            />
          </td>
        ))}
      </tr>
    </ActiveRow>
  );
}

type CellProperties = Pick<Properties, "row" | "isActive" | "isOpen" | "isSelected" | "onToggle"> & {
  cell: ReturnType<SessionRow["getVisibleCells"]>[number];
};

function Content({ cell, row, isActive, isOpen, isSelected, onToggle }: CellProperties) {
  const name = `${row.original.activity} on ${row.original.resource}`;
  const tabIndex = isActive ? 0 : -1;
  if (cell.column.id === "select") {
    return (
      <label className="-mx-2 flex h-10 w-9 items-center justify-center">
        <input
          type="checkbox"
          className="size-4"
          tabIndex={tabIndex}
          aria-label={`Select ${name}`}
          checked={isSelected}
          onChange={() => row.toggleSelected()}
        />
      </label>
    );
  }
  if (cell.column.id === "expand") {
    const Arrow = isOpen ? ChevronDown : ChevronRight;
    return (
      <button
        type="button"
        tabIndex={tabIndex}
        aria-expanded={isOpen}
        aria-label={`Details of ${name}`}
        onClick={() => onToggle(row.id)}
        className="-mx-2 flex size-8 items-center justify-center rounded-md text-quiet hover:text-ink"
      >
        <Arrow size={16} aria-hidden="true" />
      </button>
    );
  }
  return (
    <div className="min-w-0 flex-1">
      <FlexRender cell={cell} />
    </div>
  );
}

/** The details as a row of the same table, across all columns. */
export function DetailRow({
  session,
  columns,
  index,
  start,
  measure,
}: Place & { session: Session; columns: number }) {
  return (
    <tr
      ref={measure}
      data-index={index}
      role="row"
      aria-rowindex={index + 2}
      style={placed(start)}
      className="block border-b border-line bg-ground"
    >
      <td role="gridcell" aria-colindex={1} aria-colspan={columns} className="block">
        <Detail session={session} />
      </td>
    </tr>
  );
}

function placed(start: number): CSSProperties {
  return { position: "absolute", insetInline: 0, top: 0, transform: `translateY(${start}px)` };
}
