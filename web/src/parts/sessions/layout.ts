// Column widths and which columns are shown: remembered in this browser.
import type { ColumnSizingState, ColumnVisibilityState } from "@tanstack/react-table";
import { useEffect, useState } from "react";
import { recall, remember } from "../preference";

type Remembered = { widths: ColumnSizingState; shown: ColumnVisibilityState };

const NONE: Remembered = { widths: {}, shown: {} };

/** The layout and how to change it. */
export function useLayout() {
  const [layout, setLayout] = useState<Remembered>(() => sound(recall("columns", NONE)));
  useEffect(() => remember("columns", layout), [layout]);
  return {
    ...layout,
    setWidths: (change: (widths: ColumnSizingState) => ColumnSizingState) =>
      setLayout((before) => ({ ...before, widths: change(before.widths) })),
    toggle: (id: string) =>
      setLayout((before) => ({ ...before, shown: { ...before.shown, [id]: before.shown[id] === false } })),
    reset: () => setLayout(NONE),
  };
}

export type Layout = ReturnType<typeof useLayout>;

/** Keeps only what has the right shape: storage can hold anything. */
function sound({ widths, shown }: Remembered): Remembered {
  const only = <T>(value: object, type: string) =>
    Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => typeof each === type)) as Record<
      string,
      T
    >;
  return { widths: only<number>(widths, "number"), shown: only<boolean>(shown, "boolean") };
}
