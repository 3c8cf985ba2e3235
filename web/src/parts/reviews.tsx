// Sessions for which somebody broke the glass: what still has to be reviewed, what is overdue, and a way to say what one found.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Siren } from "lucide-react";
import { type FormEvent, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { openReviews } from "../api/queries";
import type { Review } from "../api/view";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { TextArea } from "./field";
import { Empty, Failure, Loading } from "./loading";
import { Notice, useSay } from "./notice";
import { fullTime } from "./time";

const REASON_MAX = 1_000;

/** The number, as a button that opens the list; nothing where nothing is to be reviewed. */
export function ReviewsTile({ onOpen }: { onOpen: () => void }) {
  const { data: reviews = [] } = useQuery(openReviews);
  const overdue = reviews.filter((it) => it.is_overdue).length;
  if (reviews.length === 0) return null;
  return (
    <button
      type="button"
      onClick={onOpen}
      className="flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-3 hover:bg-hover"
    >
      <Siren size={15} className={overdue > 0 ? "text-bad" : "text-quiet"} aria-hidden="true" />
      <span>
        To review: <b className="tabular-nums">{reviews.length}</b>
        {overdue > 0 && (
          <>
            , overdue: <b className="text-bad tabular-nums">{overdue}</b>
          </>
        )}
      </span>
    </button>
  );
}

export function ReviewsWindow({ onClose }: { onClose: () => void }) {
  const reviews = useQuery(openReviews);
  return (
    <Dialog
      size="large"
      title="To review"
      description="Sessions that began without approval. Somebody else than their user says whether that was right."
      onClose={onClose}
    >
      {reviews.isPending && <Loading what="the reviews" />}
      {reviews.isError && !reviews.data && (
        <Failure error={reviews.error} onRetry={() => reviews.refetch()} />
      )}
      {reviews.data?.length === 0 && <Empty title="Nothing has to be reviewed." />}
      {reviews.data && reviews.data.length > 0 && (
        <ul aria-label="Reviews" className="divide-y divide-line rounded-md border border-line bg-surface">
          {overdueFirst(reviews.data).map((review) => (
            <One key={review.session} review={review} />
          ))}
        </ul>
      )}
    </Dialog>
  );
}

/** Those that should have been made by now come first. */
function overdueFirst(reviews: Review[]): Review[] {
  return reviews.toSorted((a, b) => Number(b.is_overdue) - Number(a.is_overdue));
}

function One({ review }: { review: Review }) {
  return (
    <li className="flex flex-col gap-2 px-3 py-2 break-words">
      <p>
        <span className="font-semibold">
          {review.activity} on {review.resource}
        </span>
        {!review.is_over && <span className="font-medium text-busy"> (still running)</span>} by {review.user},{" "}
        {fullTime(review.requested_at)}
      </p>
      <p className="whitespace-pre-wrap">{review.notes}</p>
      <p className={review.is_overdue ? "font-medium text-bad" : "text-quiet"}>
        {review.is_overdue ? "Overdue since" : "Due by"} {fullTime(review.due_at)}
      </p>
      {review.may_review && <Finding review={review} />}
    </li>
  );
}

type Verdict = NonNullable<Review["verdict"]>;

function Finding({ review }: { review: Review }) {
  const queries = useQueryClient();
  const say = useSay();
  const [reason, setReason] = useState("");
  const [isChecked, setChecked] = useState(false);
  const finding = useMutation({
    mutationFn: (verdict: Verdict) =>
      body(
        client.POST("/api/v1/sessions/{id}/review", {
          params: { path: { id: review.session } },
          body: { verdict, reason: reason.trim() },
        }),
      ),
    onSuccess: () => {
      say("The session is reviewed.");
      return queries.invalidateQueries({ queryKey: openReviews.queryKey });
    },
  });
  const problem = finding.error ? Problem.from(finding.error) : undefined;
  const send = (verdict: Verdict) => {
    setChecked(true);
    if (reason.trim()) finding.mutate(verdict);
  };
  return (
    <form noValidate onSubmit={(event: FormEvent) => event.preventDefault()} className="flex flex-col gap-2">
      <TextArea
        label="Reason"
        hint="The user and auditors read it."
        aria-required
        rows={2}
        maxLength={REASON_MAX}
        error={isChecked && !reason.trim() ? "Write why." : problem?.field("/reason")}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {problem && problem.fields.length === 0 && <Notice tone="bad">{problem.message}</Notice>}
      {!review.is_over && (
        <p className="text-quiet">
          The session is not over: that it was justified is said when it has ended.
        </p>
      )}
      <div className="flex gap-2">
        {review.is_over && (
          <Button
            look="primary"
            label="Justified"
            disabled={finding.isPending}
            onClick={() => send("justified")}
          />
        )}
        <Button
          look="danger"
          label="Unjustified"
          disabled={finding.isPending}
          onClick={() => send("unjustified")}
        />
      </div>
    </form>
  );
}
