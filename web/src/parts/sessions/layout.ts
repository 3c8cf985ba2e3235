// Column widths and which columns are shown: remembered in this browser.
import type { ColumnSizingState, ColumnVisibilityState } from "@tanstack/react-table";
import { useEffect, useMemo, useState } from "react";
import type { ListName } from "../../api/lists";
import { recall, remember } from "../preference";
import { LISTS } from "./lists";

type Remembered = { widths: ColumnSizingState; shown: ColumnVisibilityState };

const NONE: Remembered = { widths: {}, shown: {} };

/** The layout of a list and how to change it. */
export function useLayout(list: ListName) {
  const name = list === "active" ? "columns" : `columns.${list}`;
  const [layout, setLayout] = useState<Remembered>(() => sound(recall(name, NONE)));
  useEffect(() => remember(name, layout), [name, layout]);
  const shown = useMemo(
    () => ({ ...Object.fromEntries(LISTS[list].hidden.map((id) => [id, false])), ...layout.shown }),
    [list, layout.shown],
  );
  return {
    widths: layout.widths,
    shown,
    setWidths: (change: (widths: ColumnSizingState) => ColumnSizingState) =>
      setLayout((before) => ({ ...before, widths: change(before.widths) })),
    toggle: (id: string) =>
      setLayout((before) => ({ ...before, shown: { ...before.shown, [id]: shown[id] === false } })),
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
