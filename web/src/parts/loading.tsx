// Waiting, empty and failing states of a part of a page.
import { LoaderCircle, RefreshCw } from "lucide-react";
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Button } from "./button";
import { Notice } from "./notice";

/** Something is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <p role="status" className="flex items-center justify-center gap-2 p-8 text-quiet">
      <LoaderCircle size={16} className="animate-spin" aria-hidden="true" />
      Loading {what}…
    </p>
  );
}

/** There is nothing, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 p-10 text-center">
      <p className="text-base font-semibold">{title}</p>
      {children}
    </div>
  );
}

/** It did not work, why, and a way to try again. */
export function Failure({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <div className="p-4">
      <Notice tone="bad">
        <p>{Problem.from(error).message}</p>
        <Button label="Try again" icon={RefreshCw} onClick={onRetry} className="mt-2" />
      </Notice>
    </div>
  );
}
