// The Create Session wizard: Activity, Resources, Notes, Scheduling, Review, Finish.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowLeft, ArrowRight, Check } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import { myActivities } from "../../api/queries";
import type { MyActivity, NewSessions, Session, SessionChange } from "../../api/view";
import { Button } from "../button";
import { Dialog } from "../dialog";
import { Empty, Failure, Loading } from "../loading";
import { Notice, useSay } from "../notice";
import { startOf } from "../sessions/view";
import { shortTime } from "../time";
import { ActivityPage } from "./activity-page";
import { NotesPage } from "./notes-page";
import { Requested } from "./requested";
import { ResourcesPage } from "./resources-page";
import { ReviewPage } from "./review-page";
import {
  type Draft,
  draftLike,
  EMPTY,
  type Faults,
  faultsOf,
  faultsOn,
  PAGES,
  type PageName,
  requestOf,
} from "./rules";
import { SchedulingPage } from "./scheduling-page";

const FORM = "create-session";

/** What each page gets: the draft, its faults, and how to change it. */
export type PageProperties = {
  activities: MyActivity[];
  activity: MyActivity | undefined;
  draft: Draft;
  faults: Faults;
  onChange: (change: Partial<Draft>) => void;
};

/** `like` a session that is over: its request is proposed, as far as it may be made today. */
export function Wizard({ like, onClose }: { like?: Session | undefined; onClose: () => void }) {
  const activities = useQuery(myActivities);
  const [page, setPage] = useState<PageName>("Activity");
  const [draft, setDraft] = useState(() => (like ? draftLike(like) : EMPTY));
  const [faults, setFaults] = useState<Faults>({});
  const create = useCreate(onClose, (problem) => {
    const refused = faultsOf(problem, draft);
    setFaults(refused.faults);
    if (refused.page) setPage(refused.page);
  });
  const activity = activities.data?.find((it) => it.activity === draft.activity);
  const heading = useRef<HTMLHeadingElement>(null);
  const index = PAGES.indexOf(page);
  const isFirst = useRef(true);

  useEffect(() => {
    if (!isFirst.current || page !== "Activity") heading.current?.focus();
    isFirst.current = false;
  }, [page]);

  function submit(event: FormEvent) {
    event.preventDefault();
    const found = faultsOn(page, activity, draft);
    setFaults(found);
    if (Object.keys(found).length > 0) return;
    create.reset();
    const next = PAGES[index + 1];
    if (next) setPage(next);
    else if (activity) create.mutate(requestOf(activity, draft));
  }

  function change(part: Partial<Draft>) {
    setDraft((before) => ({ ...before, ...part }));
    setFaults((before) =>
      Object.fromEntries(Object.entries(before).filter(([field]) => !isAbout(field, part))),
    );
  }

  if (create.data && create.data.items.length > 1)
    return <Requested sessions={create.data.items} onClose={onClose} />;
  const properties = { activities: activities.data ?? [], activity, draft, faults, onChange: change };
  return (
    <Dialog
      size="large"
      title="Create Session"
      isEasy={false}
      onClose={onClose}
      footer={
        <>
          <Button
            label="Back"
            icon={ArrowLeft}
            disabled={index === 0}
            onClick={() => setPage(PAGES[index - 1] ?? "Activity")}
          />
          <Button
            form={FORM}
            type="submit"
            look="primary"
            label={page === "Review" ? "Finish" : "Next"}
            icon={page === "Review" ? Check : ArrowRight}
            disabled={!activities.data?.length || create.isPending}
          />
        </>
      }
    >
      <Steps page={page} />
      {activities.isPending && <Loading what="your activities" />}
      {activities.isError && !activities.data && (
        <Failure error={activities.error} onRetry={() => activities.refetch()} />
      )}
      {activities.data?.length === 0 && (
        <Empty title="There is nothing that you may request.">
          <p className="max-w-prose text-quiet">
            No access policy names you or a group of yours. Ask an administrator.
          </p>
        </Empty>
      )}
      {activities.data && activities.data.length > 0 && (
        <form id={FORM} noValidate onSubmit={submit} className="flex min-h-0 flex-1 flex-col gap-3">
          <h3 ref={heading} tabIndex={-1} className="text-base font-semibold outline-none">
            {page}
          </h3>
          {create.error && <Notice tone="bad">{Problem.from(create.error).message}</Notice>}
          {page === "Activity" && <ActivityPage {...properties} />}
          {page === "Resources" && <ResourcesPage {...properties} />}
          {page === "Notes" && <NotesPage {...properties} />}
          {page === "Scheduling" && <SchedulingPage {...properties} />}
          {page === "Review" && <ReviewPage {...properties} />}
        </form>
      )}
    </Dialog>
  );
}

/** Whether a change touches the field that something was wrong with. */
function isAbout(field: string, part: Partial<Draft>): boolean {
  if (field === "start_at") return "start" in part || "isLater" in part;
  return (field.split("/")[0] ?? "") in part;
}

function useCreate(onClose: () => void, onRefused: (problem: Problem) => void) {
  const queries = useQueryClient();
  const say = useSay();
  // The same request sent twice, since the first answer was lost, must not make two sessions.
  const key = useRef({ request: "", value: "" });
  const keyFor = (request: NewSessions) => {
    const text = JSON.stringify(request);
    if (key.current.request !== text) key.current = { request: text, value: crypto.randomUUID() };
    return key.current.value;
  };
  return useMutation({
    mutationFn: (request: NewSessions) =>
      take(
        queries,
        () =>
          body(
            client.POST("/api/v1/sessions", {
              body: request,
              params: { header: { "Idempotency-Key": keyFor(request) } },
            }),
          ),
        (answer) => answer.items as SessionChange[],
      ),
    onSuccess: ({ items }) => {
      // Of several, each goes its own way: the wizard shows them.
      if (items.length > 1) return;
      if (items[0]) say(fate(items[0]));
      onClose();
    },
    onError: (error) => onRefused(Problem.from(error)),
  });
}

/** What happens to a session that was just requested. */
function fate(session: SessionChange): string {
  if (session.status === "waiting_for_approval") return "The request waits for approval.";
  if (session.status === "scheduled") return `The session is scheduled for ${shortTime(startOf(session))}.`;
  return "The session is being provisioned.";
}

function Steps({ page }: { page: PageName }) {
  const at = PAGES.indexOf(page);
  return (
    <ol aria-label="Steps" className="mb-4 flex gap-1 border-b border-line pb-3">
      {PAGES.map((name, index) => (
        <li
          key={name}
          aria-current={index === at ? "step" : undefined}
          className={`flex flex-1 items-center gap-2 border-t-2 pt-1.5 narrow:text-xs ${index <= at ? "border-accent" : "border-line"} ${index === at ? "font-semibold" : "text-quiet"}`}
        >
          <span className={index === at ? "narrow:hidden" : ""}>{index + 1}.</span>
          <span className={index === at ? "" : "narrow:sr-only"}>{name}</span>
          {index < at && <Check size={14} className="text-accent" aria-label="done" />}
        </li>
      ))}
    </ol>
  );
}
