// The columns of the sessions table: order, names, widths, and what they sort by.
import {
  columnResizingFeature,
  columnSizingFeature,
  columnVisibilityFeature,
  createColumnHelper,
  rowSelectionFeature,
  tableFeatures,
} from "@tanstack/react-table";
import type { Session } from "../../api/view";
import { AccountCell, ActionsCell, EndCell, StatusCell, TimeCell } from "./cells";
import type { SortKey } from "./view";

export const features = tableFeatures({
  columnSizingFeature,
  columnResizingFeature,
  columnVisibilityFeature,
  rowSelectionFeature,
});

const helper = createColumnHelper<typeof features, Session>();

/** Columns that carry a value: they have a name, sort, resize, and all but the status can be hidden. */
const VALUES: { id: SortKey; name: string; size: number; cell: (session: Session) => React.ReactNode }[] = [
  { id: "status", name: "Status", size: 190, cell: (session) => <StatusCell session={session} /> },
  {
    id: "requested_at",
    name: "Requested",
    size: 130,
    cell: (session) => <TimeCell at={session.requested_at} />,
  },
  { id: "user", name: "Requested By", size: 120, cell: (session) => <Text>{session.user}</Text> },
  { id: "resource", name: "Host", size: 140, cell: (session) => <Text>{session.resource}</Text> },
  {
    id: "login_account",
    name: "Login Account",
    size: 190,
    cell: (session) => <AccountCell session={session} />,
  },
  { id: "activity", name: "Activity", size: 180, cell: (session) => <Text>{session.activity}</Text> },
  { id: "start_at", name: "Start", size: 120, cell: (session) => <TimeCell at={session.start_at} /> },
  { id: "end_at", name: "End", size: 190, cell: (session) => <EndCell session={session} /> },
];

export const columns = helper.columns([
  helper.display({ id: "select", size: 36, enableHiding: false, enableResizing: false }),
  helper.display({ id: "expand", size: 32, enableHiding: false, enableResizing: false }),
  ...VALUES.map(({ id, name, size, cell }) =>
    helper.display({
      id,
      header: name,
      size,
      minSize: 80,
      maxSize: 800,
      enableHiding: id !== "status",
      cell: ({ row }) => cell(row.original),
    }),
  ),
  helper.display({
    id: "actions",
    size: 108,
    enableHiding: false,
    enableResizing: false,
    cell: ({ row }) => <ActionsCell session={row.original} />,
  }),
]);

/** The name of a column; empty for those without one. */
export function columnName(id: string): string {
  return VALUES.find((column) => column.id === id)?.name ?? "";
}

/** What a column sorts by, if it sorts. */
export function sortKeyOf(id: string): SortKey | undefined {
  return VALUES.find((column) => column.id === id)?.id;
}

/** Columns that a person may hide. */
export const HIDEABLE = VALUES.filter((column) => column.id !== "status").map((column) => column.id);

function Text({ children }: { children: string }) {
  return (
    <span className="block truncate" title={children}>
      {children}
    </span>
  );
}
