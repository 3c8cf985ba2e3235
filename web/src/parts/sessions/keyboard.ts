// Moving through the table by keyboard: arrows, Home, End, Page keys, Space to select, Enter to open.
import type { Virtualizer } from "@tanstack/react-virtual";
import {
  type FocusEvent,
  type KeyboardEvent,
  type RefObject,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import type { Line } from "./sheet";

const PAGE_ROWS = 10;

type Properties = { lines: Line[]; open: ReadonlySet<string>; onToggle: (id: string) => void };

/** One row is the table's tab stop; this says which, and moves it. */
export function useKeyboard({ lines, open, onToggle }: Properties) {
  const [active, setActive] = useState("");
  const found = lines.findIndex((line) => line.key === active);
  const activeIndex = found >= 0 ? found : lines.length > 0 ? 0 : -1;
  /** Whether the active row is to get the focus once it is drawn. */
  const isWanted = useRef(false);
  /** Where the focus is, while it is in a row. */
  const held = useRef<{ id: string; index: number } | undefined>(undefined);

  function move(to: number) {
    const by = to < activeIndex ? -1 : 1;
    let index = Math.min(Math.max(to, 0), lines.length - 1);
    if (lines[index]?.isDetail) index = lines[index + by] ? index + by : index - 1;
    isWanted.current = true;
    setActive(lines[index]?.key ?? "");
  }

  function onRowKey(key: string, line: Line): boolean {
    const { id } = line.row;
    const isOpen = open.has(id);
    if (key === " ") line.row.toggleSelected();
    else if (key === "Enter" || (key === "ArrowRight" && !isOpen) || (key === "ArrowLeft" && isOpen))
      onToggle(id);
    else return false;
    return true;
  }

  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const target = event.target as HTMLElement;
    const line = lines[activeIndex];
    if (!line || event.ctrlKey || event.metaKey || event.altKey || !target.closest("[data-id]")) return;
    const to = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex - 1,
      Home: 0,
      End: lines.length - 1,
      PageDown: activeIndex + PAGE_ROWS,
      PageUp: activeIndex - PAGE_ROWS,
    }[event.key];
    if (to !== undefined) move(to);
    else if (target.dataset.id === undefined || !onRowKey(event.key, line)) return;
    event.preventDefault();
  };

  const onFocus = (event: FocusEvent<HTMLElement>) => {
    const row = event.target.closest<HTMLElement>("[data-id]");
    held.current = row ? { id: row.dataset.id ?? "", index: Number(row.dataset.index) } : undefined;
    if (row) setActive(row.dataset.id ?? "");
  };

  /** A row that leaves the page takes the focus with it without saying where to: that is no leaving. */
  const onBlur = (event: FocusEvent<HTMLElement>) => {
    if (event.target.isConnected) held.current = undefined;
  };

  return { activeIndex, setActive, isWanted, held, handlers: { onKeyDown, onFocus, onBlur } };
}

type Follow = {
  keyboard: ReturnType<typeof useKeyboard>;
  virtual: Virtualizer<HTMLDivElement, Element>;
  scroller: RefObject<HTMLDivElement | null>;
  lines: Line[];
};

/** Focuses the row that was moved to, and the neighbour of a focused row that is gone. */
export function useFollow({ keyboard, virtual, scroller, lines }: Follow): void {
  const { activeIndex, setActive, isWanted, held } = keyboard;
  useLayoutEffect(() => {
    const isLost = held.current && document.activeElement === document.body;
    if (!isWanted.current && !isLost) return;
    const index = isWanted.current ? activeIndex : neighbour(lines, held.current);
    const line = lines[index];
    isWanted.current = false;
    if (!line) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(line.row.id)}"]`);
    if (row) row.focus({ preventScroll: true });
    else setActive(line.row.id);
    virtual.scrollToIndex(index, { align: "auto" });
  });
}

function neighbour(lines: Line[], held: { id: string; index: number } | undefined): number {
  if (!held) return -1;
  const same = lines.findIndex((line) => line.key === held.id);
  const index = same >= 0 ? same : Math.min(held.index, lines.length - 1);
  return lines[index]?.isDetail ? index - 1 : index;
}
