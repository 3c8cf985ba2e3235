// What moves a session on without asking anything: retry and dismiss. The outcome is merged as if events had told it.
import { type UseMutationResult, useMutation, useQueryClient } from "@tanstack/react-query";
import { body, client } from "../../api/client";
import { take } from "../../api/live";
import { Problem } from "../../api/problem";
import type { Session, SessionChange } from "../../api/view";
import { useSay } from "../notice";
import { nameOf } from "./context";

export type Move = UseMutationResult<SessionChange, Error, void>;

/** Tries a failed session again. */
export function useRetry(session: Session): Move {
  return useMove(session, `${nameOf(session)} is tried again.`, (id) =>
    body(client.POST("/api/v1/sessions/{id}/retry", { params: { path: { id } } })),
  );
}

/** Takes a failed session off the list. */
export function useDismiss(session: Session): Move {
  return useMove(session, `${nameOf(session)} is dismissed.`, (id) =>
    body(client.POST("/api/v1/sessions/{id}/dismiss", { params: { path: { id } } })),
  );
}

function useMove(session: Session, done: string, call: (id: string) => Promise<SessionChange>): Move {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: () => take(queries, () => call(session.id), sessionIn),
    onSuccess: () => say(done),
    onError: (error) => say(Problem.from(error).message),
  });
}

/** The session of an answer that is one. */
export function sessionIn(answer: SessionChange): SessionChange[] {
  return [answer];
}
