// What the parts of the profile page have in common.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { useSay } from "./notice";

export function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="rounded-lg border border-line bg-surface p-4">
      <h2 className="mb-3 text-base font-semibold">{title}</h2>
      {children}
    </section>
  );
}

/** Does something to the account, reads it anew, and says what came of it. */
export function useChange<T, R>(change: (what: T) => Promise<R>, done?: string) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: change,
    onSuccess: () => {
      queries.invalidateQueries({ queryKey: ["account"] });
      if (done) say(done);
    },
    onError: (error) => say(Problem.from(error).message),
    gcTime: 0,
  });
}

/** A line of a list, with what can be done about it. */
export function Entry({ title, lines, children }: { title: string; lines: string[]; children?: ReactNode }) {
  return (
    <li className="flex items-center gap-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words">{title}</p>
        {lines.map((line) => (
          <p key={line} className="break-words text-quiet">
            {line}
          </p>
        ))}
      </div>
      {children}
    </li>
  );
}
