// Columns as CSS grid tracks.
import type { ColumnSizingState } from "@tanstack/react-table";
import { columnName } from "./columns";

export type Tracks = {
  template: string;
  /** The least width of a row, in pixels. */
  width: number;
  /** For each column how far from the left edge it begins, in pixels: where a pinned one stays. */
  pins: Record<string, number>;
};

/** Until somebody sizes one, the columns share what is left of the width. */
export function tracksOf(shown: { id: string; size: number }[], widths: ColumnSizingState): Tracks {
  const isSized = Object.keys(widths).length > 0;
  const pins: Record<string, number> = {};
  let width = 0;
  const template = shown.map(({ id, size }) => {
    pins[id] = width;
    width += size;
    if (id === "actions") return isSized ? `minmax(${size}px, 1fr)` : `${size}px`;
    return isSized || columnName(id) === "" ? `${size}px` : `minmax(${size}px, ${size}fr)`;
  });
  return { template: template.join(" "), width, pins };
}
