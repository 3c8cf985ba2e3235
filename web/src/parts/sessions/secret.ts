// Secrets that a window shows for a while: asked for when it opens, forgotten when their time is over, never in the cache.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Problem } from "../../api/problem";
import { useSecond } from "../time";

export type Shown<T> = {
  /** What was answered, while it may be seen. */
  secret: T | undefined;
  /** Whole seconds for which it still may be. */
  left: number;
  isPending: boolean;
  problem: Problem | undefined;
  /** Asks for it (again). */
  ask: () => void;
};

/** `seconds` says how long an answer may be seen: by this machine's clock, from when it came. */
export function useSecret<T>(call: () => Promise<T>, seconds: (answer: T) => number): Shown<T> {
  const asking = useMutation({
    mutationFn: async () => {
      const answer = await call();
      return { answer, until: Date.now() + seconds(answer) * 1000 };
    },
    gcTime: 0,
  });
  const { mutate, reset, data } = asking;
  const isAsked = useRef(false);
  useEffect(() => {
    if (isAsked.current) return;
    isAsked.current = true;
    mutate();
  }, [mutate]);
  const now = useSecond();
  const left = data ? Math.max(0, Math.ceil((data.until - now) / 1000)) : 0;
  const isOver = data !== undefined && left === 0;
  useEffect(() => {
    if (isOver) reset();
  }, [isOver, reset]);
  return {
    secret: isOver ? undefined : data?.answer,
    left,
    isPending: asking.isPending,
    problem: asking.error ? Problem.from(asking.error) : undefined,
    ask: () => mutate(),
  };
}
