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
import { AccountCell, ActionsCell, DurationCell, EndCell, StartCell, StatusCell, TimeCell } from "./cells";
import { SORT_KEYS, type SortKey } from "./view";

export const features = tableFeatures({
  columnSizingFeature,
  columnResizingFeature,
  columnVisibilityFeature,
  rowSelectionFeature,
});

const helper = createColumnHelper<typeof features, Session>();

/** Columns that carry a value: they have a name, resize, most sort, and all but the status can be hidden. */
const VALUES: {
  id: SortKey | "duration" | "notes" | "ticket";
  name: string;
  size: number;
  cell: (session: Session) => React.ReactNode;
}[] = [
  { id: "status", name: "Status", size: 180, cell: (session) => <StatusCell session={session} /> },
  {
    id: "requested_at",
    name: "Requested",
    size: 116,
    cell: (session) => <TimeCell at={session.requested_at} />,
  },
  { id: "user", name: "Requested By", size: 118, cell: (session) => <Text>{session.user}</Text> },
  { id: "resource", name: "Host", size: 116, cell: (session) => <Text>{session.resource}</Text> },
  {
    id: "login_account",
    name: "Login Account",
    size: 178,
    cell: (session) => <AccountCell session={session} />,
  },
  { id: "activity", name: "Activity", size: 116, cell: (session) => <Text>{session.activity}</Text> },
  { id: "start_at", name: "Start", size: 96, cell: (session) => <StartCell session={session} /> },
  { id: "end_at", name: "End", size: 236, cell: (session) => <EndCell session={session} /> },
  { id: "duration", name: "Duration", size: 90, cell: (session) => <DurationCell session={session} /> },
  { id: "notes", name: "Notes", size: 160, cell: (session) => <Text>{session.notes}</Text> },
  { id: "ticket", name: "Ticket Number", size: 120, cell: (session) => <Text>{session.ticket}</Text> },
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
    size: 156,
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
  return SORT_KEYS.find((key) => key === id);
}

/** Columns that a person may hide. */
export const HIDEABLE = VALUES.filter((column) => column.id !== "status").map((column) => column.id);

function Text({ children }: { children: string }) {
  if (!children) return <span className="text-quiet">—</span>;
  return (
    <span className="block truncate" title={children}>
      {children}
    </span>
  );
}
