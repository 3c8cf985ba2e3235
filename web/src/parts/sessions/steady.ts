// Keeps what is on the screen where it is while rows come and go above it.
import type { Virtualizer } from "@tanstack/react-virtual";
import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import type { Line } from "./sheet";

type Virtual = Virtualizer<HTMLDivElement, Element>;

/** Remembers the topmost line in sight and, when the lines change, scrolls so that it stays where it was. */
export function useAnchor(virtual: Virtual, scroller: RefObject<HTMLDivElement | null>, lines: Line[]): void {
  const anchor = useRef<{ key: string; offset: number } | undefined>(undefined);
  const known = useRef(lines);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const note = () => {
      // The virtual list has read the position already; reading it again would make the browser lay out twice.
      const offset = virtual.scrollOffset ?? 0;
      const top = virtual.getVirtualItemForOffset(offset);
      anchor.current = top && { key: String(top.key), offset: offset - top.start };
    };
    element.addEventListener("scroll", note, { passive: true });
    return () => element.removeEventListener("scroll", note);
  }, [virtual, scroller]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || known.current === lines) return;
    known.current = lines;
    const held = anchor.current;
    if (!held || element.scrollTop === 0) return;
    const index = lines.findIndex((line) => line.key === held.key);
    const start = virtual.measurementsCache[index]?.start;
    if (start !== undefined) element.scrollTop = start + held.offset;
  });
}
