// The Active dashboard: every session that is active now, and what can be done with it.

import { useIsFetching, useQuery, useQueryClient } from "@tanstack/react-query";
import type { RowSelectionState } from "@tanstack/react-table";
import { Plus } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import { refresh } from "../api/live";
import { activeSessions, PAGE_ROWS, PAGES_MAX } from "../api/queries";
import type { Me, Session, Status } from "../api/view";
import { Button } from "../parts/button";
import { GrantsTile, GrantsWindow } from "../parts/grants/window";
import { Empty, Failure, Loading } from "../parts/loading";
import { LogWindow } from "../parts/log/window";
import { Notice } from "../parts/notice";
import { PageProvider } from "../parts/sessions/context";
import { EndDialog } from "../parts/sessions/end-dialog";
import { useLayout } from "../parts/sessions/layout";
import { Sheet } from "../parts/sessions/sheet";
import { Actions, Filters } from "../parts/sessions/toolbar";
import { useView } from "../parts/sessions/use-view";
import { isNarrowed, STATUSES, select, selectionIn, type View, viewOf } from "../parts/sessions/view";
import { useShortcuts } from "../parts/shortcut";
import { Wizard } from "../parts/wizard/wizard";

const NONE: ReadonlyMap<string, Session> = new Map();
const NOT_FOR_USERS = ["user"];
const NOTHING: string[] = [];

/** What lies over the page. Sessions are as they were when it opened: the list may lose them meanwhile. */
type Window =
  | { kind: "create" }
  | { kind: "grants" }
  | { kind: "log"; session: Session }
  | { kind: "end"; sessions: Session[] };

export function ActivePage({ me }: { me: Me }) {
  const queries = useQueryClient();
  const seesAll = me.roles.includes("administrator") || me.roles.includes("auditor");
  const sessions = useQuery(activeSessions(seesAll ? "all" : "mine"));
  const known = sessions.data ?? NONE;
  const [view, setView] = useView();
  const layout = useLayout();
  const [window, setWindow] = useState<Window>();
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const search = useRef<HTMLInputElement>(null);
  const isRefreshing = useIsFetching({ queryKey: ["sessions"] }) > 0;

  const shown = useMemo(() => select(known.values(), view, me.user), [known, view, me.user]);
  const selected = useMemo(
    () => Object.keys(selection).flatMap((id) => known.get(id) ?? []),
    [selection, known],
  );
  const shownSelection = useMemo(() => selectionIn(selection, shown), [selection, shown]);
  const toggle = useCallback(
    (id: string) => setOpen((before) => (before.has(id) ? without(before, id) : new Set([...before, id]))),
    [],
  );
  const create = () => setWindow({ kind: "create" });
  const close = () => setWindow(undefined);
  useShortcuts({ "/": () => search.current?.focus(), n: create });
  const page = useMemo(
    () => ({
      me,
      onEnd: (ending: Session[]) => setWindow({ kind: "end", sessions: ending }),
      onLog: (session: Session) => setWindow({ kind: "log", session }),
    }),
    [me],
  );

  return (
    <PageProvider value={page}>
      <main
        tabIndex={-1}
        className="flex min-h-0 flex-1 flex-col outline-none [@media(height<28rem)]:overflow-auto"
      >
        <div className="flex flex-col gap-2.5 px-4 py-3">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
            <h1 className="text-lg font-semibold tracking-tight">Active sessions</h1>
            {seesAll && <Scope isMine={view.isMine} onChange={(isMine) => setView({ ...view, isMine })} />}
            <Counts shown={shown} total={known.size} selected={selected} />
            <span className="flex-1 narrow:hidden" />
            <GrantsTile onOpen={() => setWindow({ kind: "grants" })} />
          </div>
          <Actions
            selected={selected.length}
            canEnd={selected.some((session) => session.actions.end)}
            onCreate={create}
            onEnd={() => page.onEnd(selected)}
            onLog={() => selected[0] && page.onLog(selected[0])}
            onRefresh={() => refresh(queries)}
          />
          <Filters
            view={view}
            onView={setView}
            counts={countsOf(known)}
            activities={activitiesOf(known)}
            search={search}
            layout={layout}
            hidden={seesAll ? NOTHING : NOT_FOR_USERS}
          />
          {known.size >= PAGES_MAX * PAGE_ROWS && (
            <Notice tone="warn">
              More sessions are active than this page shows. The first {known.size} are here.
            </Notice>
          )}
          {sessions.isError && sessions.data && !isRefreshing && (
            <Failure error={sessions.error} onRetry={() => sessions.refetch()} />
          )}
        </div>
        <div className="flex min-h-64 flex-1 flex-col border-t border-line bg-surface">
          {sessions.isPending && <Loading what="active sessions" />}
          {sessions.isError && !sessions.data && (
            <Failure error={sessions.error} onRetry={() => sessions.refetch()} />
          )}
          {sessions.data && (
            <Sheet
              sessions={shown}
              sort={view.sort}
              onSort={(sort) => setView({ ...view, sort })}
              layout={layout}
              selection={shownSelection}
              onSelection={setSelection}
              open={open}
              onToggle={toggle}
              hidden={seesAll ? NOTHING : NOT_FOR_USERS}
              empty={
                <Nothing
                  view={view}
                  total={known.size}
                  onCreate={create}
                  onClear={() => setView(viewOf({}))}
                />
              }
            />
          )}
        </div>
      </main>
      {window?.kind === "create" && <Wizard onClose={close} />}
      {window?.kind === "grants" && <GrantsWindow onClose={close} />}
      {window?.kind === "log" && <LogWindow session={window.session} onClose={close} />}
      {window?.kind === "end" && <EndDialog sessions={window.sessions} onClose={close} />}
    </PageProvider>
  );
}

function Scope({ isMine, onChange }: { isMine: boolean; onChange: (isMine: boolean) => void }) {
  const option = (name: string, value: boolean) => (
    <button
      type="button"
      aria-pressed={isMine === value}
      onClick={() => onChange(value)}
      className={`h-full px-3 ${isMine === value ? "bg-chosen font-semibold" : "text-quiet hover:bg-hover hover:text-ink"}`}
    >
      {name}
    </button>
  );
  return (
    <fieldset className="flex h-7 overflow-hidden rounded-md border border-edge">
      <legend className="sr-only">Whose sessions</legend>
      {option("All", false)}
      {option("Mine", true)}
    </fieldset>
  );
}

/** How much is shown, and how much of the selection is out of sight. */
function Counts({ shown, total, selected }: { shown: Session[]; total: number; selected: Session[] }) {
  const ids = new Set(shown.map((session) => session.id));
  const hidden = selected.filter((session) => !ids.has(session.id)).length;
  const count = shown.length === total ? `${total} sessions` : `${shown.length} of ${total} sessions`;
  return (
    <p role="status" className="text-quiet tabular-nums">
      {total === 1 ? "1 session" : count}
      {selected.length > 0 && `, ${selected.length} selected`}
      {hidden > 0 && ` (${hidden} of them hidden by the filters)`}
    </p>
  );
}

type NothingProperties = { view: View; total: number; onCreate: () => void; onClear: () => void };

function Nothing({ view, total, onCreate, onClear }: NothingProperties) {
  if (total > 0 && (isNarrowed(view) || view.isMine)) {
    return (
      <Empty title="No active session matches.">
        <Button label="Show all" onClick={onClear} />
      </Empty>
    );
  }
  return (
    <Empty title="No session is active.">
      <p className="max-w-prose text-quiet">
        A session gives you a temporary privilege on a resource, and takes it away again when it ends.
      </p>
      <Button look="primary" label="Request your first" icon={Plus} onClick={onCreate} />
    </Empty>
  );
}

function countsOf(known: ReadonlyMap<string, Session>): Record<Status, number> {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  for (const session of known.values()) counts[session.status] += 1;
  return counts;
}

function activitiesOf(known: ReadonlyMap<string, Session>): string[] {
  return [...new Set([...known.values()].map((session) => session.activity))].sort((a, b) =>
    a.localeCompare(b),
  );
}

function without(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...ids].filter((it) => it !== id));
}
