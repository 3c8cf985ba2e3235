// What became of one of several things that were asked for together.
import { CircleCheck, CircleX } from "lucide-react";

/** Said aloud when it appears. */
export function OutcomeMark({ done, fault }: { done: string; fault: string | undefined }) {
  const Icon = fault ? CircleX : CircleCheck;
  return (
    <span role="status" className={`flex items-center gap-1.5 ${fault ? "text-bad" : "text-good"}`}>
      <Icon size={14} className="shrink-0" aria-hidden="true" />
      {fault ?? done}
    </span>
  );
}
