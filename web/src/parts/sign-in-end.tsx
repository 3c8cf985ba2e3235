// Says some minutes before that the sign-in ends: in the page, and in the window that lies over it, so that nobody's work is
// lost unawares. Whether it really ends is the server's word: somebody may use it in another tab.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Clock, X } from "lucide-react";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { Problem } from "../api/problem";
import { me as meQuery } from "../api/queries";
import type { Me } from "../api/view";
import { Button, IconButton } from "./button";
import { useSay } from "./notice";
import { length, minuteTime, useSecond } from "./time";

/** How long before the end it is said: time to look up and press a button, and time to bring work to an end. */
const WARN_MS = { idle: 5 * 60_000, limit: 10 * 60_000 };
/** While it is said, the server is asked this often whether it is still so. */
const ASK_MS = 15_000;
/** It is said once more when no more than this is left. */
const LAST_MS = 60_000;
/** The server ends a sign-in just after its end. */
const PAST_MS = 1_000;

/** That a sign-in ends soon: because nobody uses it, or because it lasted as long as sign-ins do. */
export type Ending = { why: "idle" | "limit"; at: number };

/** How a sign-in ends, if that is soon. Of a short one the second half is soon. */
export function endingOf(signIn: Me["sign_in"], now: number): Ending | undefined {
  if (!signIn) return undefined;
  const { created_at, last_seen_at, idle_ends_at, ends_at } = signIn;
  const why = Date.parse(idle_ends_at) < Date.parse(ends_at) ? "idle" : "limit";
  const [from, at] = (why === "idle" ? [last_seen_at, idle_ends_at] : [created_at, ends_at]).map(
    Date.parse,
  ) as [number, number];
  const isSoon = at - now <= Math.min(WARN_MS[why], (at - from) / 2);
  return isSoon ? { why, at } : undefined;
}

type Said = Ending & { isStaying: boolean; stay: () => void; dismiss: () => void };
const Said = createContext<Said | undefined>(undefined);

/** Watches the end of the sign-in for every {@link SignInEnd} inside. */
export function SignInWatch({ me, children }: { me: Me; children: ReactNode }) {
  const queries = useQueryClient();
  const say = useSay();
  const now = useSecond();
  const [isSure, setSure] = useState(false);
  const [dismissed, setDismissed] = useState<number>();
  const ending = endingOf(me.sign_in, now);
  const isSoon = ending !== undefined;
  // When it is past, the server is asked at once.
  const isPast = isSoon && now > ending.at + PAST_MS;
  useEffect(() => {
    if (!isSoon) return;
    let isWanted = true;
    const ask = () =>
      queries
        .refetchQueries({ queryKey: meQuery.queryKey, exact: true })
        .then(() => isWanted && setSure(true));
    ask();
    const timer = setInterval(ask, ASK_MS);
    return () => {
      isWanted = false;
      clearInterval(timer);
      setSure(false);
    };
  }, [queries, isSoon, isPast]);
  const { isPending: isStaying, mutate: stay } = useMutation({
    // The press of the button is what makes it use of the sign-in.
    mutationFn: () => queries.fetchQuery({ ...meQuery, staleTime: 0, retry: false }),
    onError: (error) => say(Problem.from(error).message),
  });
  const { why, at } = ending ?? {};
  const said = useMemo(
    () =>
      isSure && why && at && at !== dismissed
        ? { why, at, isStaying, stay: () => stay(), dismiss: () => setDismissed(at) }
        : undefined,
    [isSure, why, at, dismissed, isStaying, stay],
  );
  return <Said value={said}>{children}</Said>;
}

/** The line that says it; nothing while there is nothing to say. */
export function SignInEnd() {
  const said = useContext(Said);
  return said ? <Line {...said} /> : null;
}

function Line({ why, at, isStaying, stay, dismiss }: Said) {
  const left = at - useSecond();
  const time = minuteTime(at);
  return (
    <div className="flex flex-wrap items-center justify-center gap-x-3 gap-y-1 border-b border-warn bg-warn-ground px-4 py-1.5">
      <Clock size={15} className="shrink-0 text-warn narrow:hidden" aria-hidden="true" />
      <p role="alert">
        {why === "idle"
          ? `You will be signed out at ${time}, because nothing was done here for a while.`
          : `Your sign-in ends at ${time}, as every one does after some hours. Sign in again then: you come back to this page.`}
        {left <= LAST_MS && " Less than a minute is left."}
      </p>
      {/* Out of the alert, so that it is not said aloud each second. */}
      <span role="timer" aria-label="Time left" className="font-semibold tabular-nums">
        {length(left)}
      </span>
      {why === "idle" ? (
        <Button label="Stay signed in" look="primary" disabled={isStaying} onClick={stay} />
      ) : (
        <IconButton label="Dismiss: your sign-in ends" icon={X} onClick={dismiss} />
      )}
    </div>
  );
}
