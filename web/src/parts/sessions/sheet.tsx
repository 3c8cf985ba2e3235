// The sessions table: virtual rows of a real table, moved through by keyboard, steady while the data changes.
import { type RowSelectionState, type Updater, useTable } from "@tanstack/react-table";
import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactNode, useMemo, useRef, useSyncExternalStore } from "react";
import type { Session } from "../../api/view";
import { columns, features } from "./columns";
import { Head } from "./head";
import { useFollow, useKeyboard } from "./keyboard";
import type { Layout } from "./layout";
import { DetailRow, type SessionRow, SheetRow } from "./row";
import { useAnchor } from "./steady";
import { tracksOf } from "./tracks";
import type { Sort } from "./view";

const ROW_HEIGHT = 41;
/** On a narrow screen each row is a card, with a line for each column. */
const CARD_HEIGHT = 236;
const DETAIL_HEIGHT = 420;
const OVERSCAN = 8;

/** A line of the table: a session, or the details below it. */
export type Line = { key: string; row: SessionRow; isDetail: boolean };

type Properties = {
  /** What it is a table of. */
  label: string;
  sessions: Session[];
  sort: Sort;
  onSort: (sort: Sort) => void;
  layout: Layout;
  selection: RowSelectionState;
  onSelection: (change: (selection: RowSelectionState) => RowSelectionState) => void;
  open: ReadonlySet<string>;
  onToggle: (id: string) => void;
  hidden: string[];
  /** Widths of columns that nobody has sized. */
  sizes: Record<string, number>;
  /** Shown in place of rows when there are none. */
  empty: ReactNode;
  /** Shown below the last row. */
  foot?: ReactNode;
};

export function Sheet({
  label,
  sessions,
  sort,
  onSort,
  layout,
  selection,
  onSelection,
  open,
  onToggle,
  hidden,
  sizes,
  empty,
  foot,
}: Properties) {
  const scroller = useRef<HTMLDivElement>(null);
  const columnVisibility = useMemo(
    () => ({ ...layout.shown, ...Object.fromEntries(hidden.map((id) => [id, false])) }),
    [layout.shown, hidden],
  );
  const table = useTable({
    features,
    columns,
    data: sessions,
    getRowId: (session) => session.id,
    columnResizeMode: "onChange",
    state: { rowSelection: selection, columnSizing: { ...sizes, ...layout.widths }, columnVisibility },
    onRowSelectionChange: (change) => onSelection((before) => updated(change, before)),
    onColumnSizingChange: (change) => layout.setWidths((before) => updated(change, before)),
  });

  const rows = table.getRowModel().rows;
  const lines = useMemo(
    () =>
      rows.flatMap((row): Line[] => [
        { key: row.id, row, isDetail: false },
        ...(open.has(row.id) ? [{ key: `${row.id}/detail`, row, isDetail: true }] : []),
      ]),
    [rows, open],
  );
  const keyboard = useKeyboard({ lines, open, onToggle });
  const activeIndex = keyboard.activeIndex;
  const isNarrow = useIsNarrow();
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => lines[index]?.key ?? index,
    estimateSize: (index) => (lines[index]?.isDetail ? DETAIL_HEIGHT : isNarrow ? CARD_HEIGHT : ROW_HEIGHT),
    // The header lies over the first lines of the scrolled part.
    scrollPaddingEnd: ROW_HEIGHT,
    overscan: OVERSCAN,
    // The row that the keyboard is at stays in the page, wherever it was scrolled to, so the focus is never lost.
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range);
      return shown.includes(activeIndex) || activeIndex < 0
        ? shown
        : [...shown, activeIndex].sort((a, b) => a - b);
    },
  });
  useFollow({ keyboard, virtual, scroller, lines });
  useAnchor(virtual, scroller, lines);

  const shown = table.getVisibleLeafColumns().map((column) => ({ id: column.id, size: column.getSize() }));
  const shape = JSON.stringify([shown, layout.widths]);
  const tracks = useMemo(() => {
    const [columns, widths] = JSON.parse(shape);
    return tracksOf(columns, widths);
  }, [shape]);
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-auto overscroll-contain [overflow-anchor:none]">
      <table
        role="grid"
        aria-label={label}
        aria-multiselectable
        aria-rowcount={lines.length + 1}
        aria-colcount={shown.length}
        className="block w-full wide:min-w-(--width)"
        style={{ "--columns": tracks.template, "--width": `${tracks.width}px` } as CSSProperties}
      >
        <Head table={table} sort={sort} onSort={onSort} pins={tracks.pins} />
        <tbody
          role="rowgroup"
          className="relative block"
          style={{ height: virtual.getTotalSize() }}
          {...keyboard.handlers}
        >
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            if (!line) return null;
            const place = { index: item.index, start: item.start, measure: virtual.measureElement };
            return line.isDetail ? (
              <DetailRow key={line.key} session={line.row.original} columns={shown.length} {...place} />
            ) : (
              <SheetRow
                key={line.key}
                row={line.row}
                tracks={tracks}
                isActive={item.index === activeIndex}
                isOpen={open.has(line.row.id)}
                isSelected={selection[line.row.id] === true}
                onToggle={onToggle}
                {...place}
              />
            );
          })}
        </tbody>
      </table>
      {lines.length === 0 && empty}
      {foot}
    </div>
  );
}

const NARROW = "(width < 44rem)";

/** Whether the style sheet draws rows as cards. */
function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (onChange) => {
      const query = globalThis.matchMedia(NARROW);
      query.addEventListener("change", onChange);
      return () => query.removeEventListener("change", onChange);
    },
    () => globalThis.matchMedia(NARROW).matches,
  );
}

function updated<T>(change: Updater<T>, before: T): T {
  return typeof change === "function" ? (change as (before: T) => T)(before) : change;
}
