// A page of sessions: those that are active, scheduled, waiting for approval, or over; and what can be done with them.
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { RowSelectionState } from "@tanstack/react-table";
import { Plus } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import type { ListName } from "../api/lists";
import { refresh } from "../api/live";
import { PAGE_ROWS, PAGES_MAX, seesAll } from "../api/queries";
import type { Me, Session, Status } from "../api/view";
import { Button } from "../parts/button";
import { GrantsTile } from "../parts/grants/window";
import { Empty, Failure, Loading } from "../parts/loading";
import { LocksTile } from "../parts/locks";
import { Notice } from "../parts/notice";
import { ReviewsTile } from "../parts/reviews";
import { PageProvider, type Window } from "../parts/sessions/context";
import { useLayout } from "../parts/sessions/layout";
import { LISTS } from "../parts/sessions/lists";
import { SessionWindow } from "../parts/sessions/session-window";
import { Sheet } from "../parts/sessions/sheet";
import { Actions, Filters } from "../parts/sessions/toolbar";
import { useSessions } from "../parts/sessions/use-sessions";
import { useView } from "../parts/sessions/use-view";
import { isNarrowed, select, selectionIn, viewOf } from "../parts/sessions/view";
import { OpenWindow } from "../parts/sessions/windows";
import { useShortcuts } from "../parts/shortcut";

const NOT_FOR_USERS = ["user"];
const NOTHING: string[] = [];

export function SessionsPage({ me, list }: { me: Me; list: ListName }) {
  const queries = useQueryClient();
  const look = LISTS[list];
  const isAll = seesAll(me);
  const [view, setView] = useView(list);
  const sessions = useSessions(list, me, view);
  const { known } = sessions;
  const layout = useLayout(list);
  const [window, setWindow] = useState<Window>();
  const navigate = useNavigate();
  const [single, showSingle] = useSingle();
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const search = useRef<HTMLInputElement>(null);

  // The past was searched and sorted by the server.
  const shown = useMemo(
    () => (list === "history" ? [...known.values()] : select(known.values(), view, me.user)),
    [list, known, view, me.user],
  );
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
  useShortcuts({ "/": () => search.current?.focus(), n: create });
  const page = useMemo(
    () => ({
      me,
      onOpen: setWindow,
      onSession: (id: string) => {
        setWindow(undefined);
        showSingle(id);
      },
      onApprovals: list === "approvals" ? undefined : () => navigate({ to: LISTS.approvals.path }),
    }),
    [me, list, navigate, showSingle],
  );
  // Approvers see what others request; of the other lists a plain user sees their own part.
  const hidden = isAll || list === "approvals" ? NOTHING : NOT_FOR_USERS;

  return (
    <PageProvider value={page}>
      <main
        tabIndex={-1}
        className="flex min-h-0 flex-1 flex-col outline-none [@media(height<28rem)]:overflow-auto"
      >
        <div className="flex flex-col gap-2.5 px-4 py-3">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
            <h1 className="text-lg font-semibold tracking-tight">{look.title}</h1>
            {isAll && list !== "approvals" && (
              <WhoseChoice isMine={view.isMine} onChange={(isMine) => setView({ ...view, isMine })} />
            )}
            {sessions.isThere && (
              <Counts shown={shown} total={known.size} selected={selected} hasMore={sessions.hasMore} />
            )}
            <span className="flex-1 narrow:hidden" />
            <ReviewsTile onOpen={() => setWindow({ kind: "reviews" })} />
            {isAll && <LocksTile onOpen={() => setWindow({ kind: "locks" })} />}
            <GrantsTile onOpen={() => setWindow({ kind: "grants" })} />
          </div>
          <Actions
            list={list}
            selected={selected}
            onRefresh={() => refresh(queries)}
            layout={layout}
            hidden={hidden}
          />
          <Filters
            view={view}
            onView={setView}
            statuses={look.statuses}
            counts={list === "history" ? undefined : countsOf(known)}
            activities={list === "history" ? NOTHING : activitiesOf(known)}
            search={search}
            hasDays={list === "history"}
          />
          {list !== "history" && known.size >= PAGES_MAX * PAGE_ROWS && (
            <Notice tone="warn">There are more than this page shows. The first {known.size} are here.</Notice>
          )}
          {sessions.error && sessions.isThere && !sessions.isFetching && (
            <Failure error={sessions.error} onRetry={sessions.refetch} />
          )}
        </div>
        <div className="flex min-h-64 flex-1 flex-col border-t border-line bg-surface">
          {sessions.isPending && !sessions.error && <Loading what={look.title.toLowerCase()} />}
          {sessions.error && !sessions.isThere && (
            <Failure error={sessions.error} onRetry={sessions.refetch} />
          )}
          {sessions.isThere && (
            <Sheet
              label={look.title}
              sessions={shown}
              sort={view.sort}
              onSort={(sort) => setView({ ...view, sort })}
              layout={layout}
              selection={shownSelection}
              onSelection={setSelection}
              open={open}
              onToggle={toggle}
              hidden={hidden}
              sizes={look.sizes}
              empty={
                <Nothing
                  list={list}
                  isNarrow={isNarrowed(view) || (view.isMine && isAll)}
                  onCreate={create}
                  onClear={() => setView(viewOf({}, list))}
                />
              }
              foot={
                sessions.hasMore && (
                  <div className="sticky left-0 flex justify-center p-3">
                    <Button
                      label={sessions.isFetching ? "Loading…" : "Load more"}
                      disabled={sessions.isFetching}
                      onClick={sessions.loadMore}
                    />
                  </div>
                )
              }
            />
          )}
        </div>
      </main>
      {single && <SessionWindow id={single} onClose={() => showSingle(undefined)} />}
      {window && <OpenWindow window={window} me={me} onClose={() => setWindow(undefined)} />}
    </PageProvider>
  );
}

/** The session that is shown by itself: the URL says which, so that links lead to it. */
function useSingle(): [string | undefined, (id: string | undefined) => void] {
  const navigate = useNavigate();
  const { session } = useSearch({ strict: false }) as { session?: string };
  const show = useCallback(
    (id: string | undefined) => {
      navigate({ to: ".", search: (before: object) => ({ ...before, session: id }) });
    },
    [navigate],
  );
  return [session, show];
}

function WhoseChoice({ isMine, onChange }: { isMine: boolean; onChange: (isMine: boolean) => void }) {
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

type CountProperties = { shown: Session[]; total: number; selected: Session[]; hasMore: boolean };

/** How much is shown, and how much of the selection is out of sight. */
function Counts({ shown, total, selected, hasMore }: CountProperties) {
  const ids = new Set(shown.map((session) => session.id));
  const hidden = selected.filter((session) => !ids.has(session.id)).length;
  const all = hasMore ? `the first ${total} sessions` : total === 1 ? "1 session" : `${total} sessions`;
  return (
    <p role="status" className="text-quiet tabular-nums">
      {shown.length === total ? all : `${shown.length} of ${total} sessions`}
      {selected.length > 0 && `, ${selected.length} selected`}
      {hidden > 0 && ` (${hidden} of them hidden by the filters)`}
    </p>
  );
}

type NothingProperties = { list: ListName; isNarrow: boolean; onCreate: () => void; onClear: () => void };

function Nothing({ list, isNarrow, onCreate, onClear }: NothingProperties) {
  if (isNarrow) {
    return (
      <Empty title="No session matches.">
        <Button label="Show all" onClick={onClear} />
      </Empty>
    );
  }
  return (
    <Empty title={LISTS[list].empty}>
      {list === "active" && (
        <>
          <p className="max-w-prose text-quiet">
            A session gives you a temporary privilege on a resource, and takes it away again when it ends.
          </p>
          <Button look="primary" label="Request your first" icon={Plus} onClick={onCreate} />
        </>
      )}
      {list === "scheduled" && (
        <p className="max-w-prose text-quiet">
          A request can name a time to begin at, on its page Scheduling.
        </p>
      )}
      {list === "approvals" && (
        <p className="max-w-prose text-quiet">
          Requests that you may decide about come here by themselves, and your own while they wait.
        </p>
      )}
    </Empty>
  );
}

function countsOf(known: ReadonlyMap<string, Session>): ReadonlyMap<Status, number> {
  const counts = new Map<Status, number>();
  for (const { status } of known.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
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
